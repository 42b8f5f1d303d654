"""Names of countries, regions and large cities, and of organisations that many people speak of."""

from __future__ import annotations

from typing import Final


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


PLACES: Final = _names(
    "Afghanistan, Africa, Alabama, Alaska, Albania, Algeria, Angola, Argentina, Arizona, Arkansas, Armenia, Asia,"
    " Australia, Austria, Azerbaijan, Bahrain, Bangladesh, Belarus, Belgium, Bolivia, Bosnia, Botswana, Brazil,"
    " Britain, Bulgaria, California, Cambodia, Cameroon, Canada, Chile, China, Colombia, Colorado, Connecticut,"
    " Costa Rica, Croatia, Cuba, Cyprus, Czech Republic, Delaware, Denmark, Dominican Republic, Ecuador, Egypt,"
    " El Salvador, England, Estonia, Ethiopia, Europe, Finland, Florida, France, Germany, Ghana, Great Britain,"
    " Greece, Guatemala, Haiti, Hawaii, Honduras, Hong Kong, Hungary, Iceland, Idaho, Illinois, India, Indiana,"
    " Indonesia, Iowa, Iran, Iraq, Ireland, Israel, Italy, Ivory Coast, Jamaica, Japan, Kansas, Kazakhstan,"
    " Kentucky, Kenya, Kuwait, Latvia, Lebanon, Libya, Lithuania, Louisiana, Luxembourg, Madagascar, Maine,"
    " Malaysia, Malta, Maryland, Massachusetts, Mexico, Michigan, Minnesota, Mississippi, Missouri, Moldova,"
    " Mongolia, Montana, Montenegro, Morocco, Mozambique, Myanmar, Namibia, Nebraska, Nepal, Netherlands, Nevada,"
    " New Hampshire, New Jersey, New Mexico, New Zealand, Nicaragua, Nigeria, North America, North Carolina,"
    " North Dakota, North Korea, Northern Ireland, Norway, Ohio, Oklahoma, Oman, Oregon, Pakistan, Panama,"
    " Paraguay, Pennsylvania, Peru, Philippines, Poland, Portugal, Puerto Rico, Qatar, Rhode Island, Romania,"
    " Russia, Rwanda, Saudi Arabia, Scotland, Senegal, Serbia, Singapore, Slovakia, Slovenia, Somalia,"
    " South Africa, South America, South Carolina, South Dakota, South Korea, Spain, Sri Lanka, Sudan, Sweden,"
    " Switzerland, Syria, Taiwan, Tanzania, Tennessee, Texas, Thailand, Tunisia, Turkey, Uganda, Ukraine,"
    " United Arab Emirates, United Kingdom, United States, Uruguay, Utah, Uzbekistan, Venezuela, Vermont,"
    " Vietnam, Wales, Washington, West Virginia, Wisconsin, Wyoming, Yemen, Zambia, Zimbabwe, Abu Dhabi, Accra,"
    " Amsterdam, Ankara, Antwerp, Athens, Atlanta, Auckland, Austin, Baghdad, Bangalore, Bangkok, Barcelona,"
    " Basel, Beijing, Beirut, Belfast, Belgrade, Bengaluru, Berlin, Bern, Birmingham, Bogota, Bordeaux, Boston,"
    " Bratislava, Bremen, Brisbane, Bristol, Brooklyn, Brussels, Bucharest, Budapest, Buenos Aires, Cairo,"
    " Calgary, Cambridge, Cape Town, Caracas, Cardiff, Casablanca, Chennai, Chicago, Cincinnati, Cleveland,"
    " Cologne, Copenhagen, Cork, Dallas, Delhi, Denver, Detroit, Dhaka, Doha, Dortmund, Dresden, Dubai, Dublin,"
    " Edinburgh, Eindhoven, Frankfurt, Geneva, Genoa, Ghent, Glasgow, Gothenburg, Guadalajara, Hamburg, Hanoi,"
    " Hanover, Helsinki, Ho Chi Minh City, Houston, Hyderabad, Istanbul, Jakarta, Jerusalem, Johannesburg,"
    " Karachi, Kathmandu, Kiev, Krakow, Kuala Lumpur, Kyiv, Kyoto, Lagos, Lahore, Las Vegas, Leeds, Leipzig,"
    " Lima, Lisbon, Liverpool, Ljubljana, London, Los Angeles, Lyon, Madrid, Malmo, Manchester, Manila,"
    " Marseille, Melbourne, Mexico City, Miami, Milan, Minneapolis, Montreal, Moscow, Mumbai, Munich, Nairobi,"
    " Naples, New Delhi, New Orleans, New York, New York City, Nuremberg, Orlando, Osaka, Oslo, Ottawa, Oxford,"
    " Palermo, Paris, Philadelphia, Phoenix, Pittsburgh, Porto, Portland, Prague, Quebec, Rio de Janeiro, Riyadh,"
    " Rome, Rotterdam, Sacramento, Salt Lake City, San Antonio, San Diego, San Francisco, San Jose, Santiago,"
    " Sao Paulo, Sarajevo, Seattle, Seoul, Seville, Shanghai, Shenzhen, Sofia, St. Louis, Stockholm, Stuttgart,"
    " Sydney, Taipei, Tallinn, Tampa, Tbilisi, Tehran, Tel Aviv, The Hague, Tokyo, Toronto, Toulouse, Turin,"
    " Utrecht, Valencia, Vancouver, Venice, Vienna, Vilnius, Warsaw, Washington D.C., Zagreb, Zurich,"
    " Silicon Valley, Wall Street, Middle East, Latin America, Manhattan"
)

ORGANIZATIONS: Final = _names(
    "Accenture, Adobe, Airbus, Alibaba, Allianz, Amazon, American Airlines, Atlassian, AT&T, Audi,"
    " Bank of America, Barclays, BMW, Boeing, Bosch, Cisco, Citibank, Coca-Cola, Comcast, Costco, Daimler,"
    " DHL, Deloitte, Delta Airlines, Deutsche Bank, Disney, Dropbox, eBay, Ericsson, European Union, Facebook,"
    " FedEx, Ford Motor, General Electric, General Motors, GitHub, Goldman Sachs, Google, HSBC, Honda, Huawei,"
    " IBM, IKEA, Intel, Invoca, JPMorgan, KPMG, Lenovo, LinkedIn, Lufthansa, Mastercard, McDonald's, Mercedes,"
    " Meta, Microsoft, Mozilla, NASA, NATO, Nestle, Netflix, Nike, Nintendo, Nissan, Nokia, NVIDIA, OpenAI,"
    " Oracle, PayPal, Pepsi, Pfizer, Philips, PwC, Qualcomm, Renault, Ryanair, Salesforce, Samsung, SAP, Shopify,"
    " Siemens, Slack, Sony, SpaceX, Spotify, Starbucks, Stripe, Symbl.ai, T-Mobile, Tesla, Toyota, Twilio,"
    " Twitter, Uber, UBS, UNICEF, Unilever, United Nations, UPS, Verizon, Visa, Vodafone, Volkswagen, Volvo,"
    " Walmart, Wells Fargo, World Bank, Yahoo, YouTube, Zendesk"
)
