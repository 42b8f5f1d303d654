"""English word lists that several analyses share.

Lists are closed classes where the language has them (determiners, auxiliaries) and large samples where it does not
(verbs of doing, first names). Rules must never depend on a word being missing from an open list.
"""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """Return the blank-separated words of *text* as a set."""
    return frozenset(text.split())


DETERMINERS = words(
    "the a an this that these those my our your his her its their some any each every another both all no either"
    " neither whose several many few more most less enough such"
)
PERSONAL = words("i we you he she it they")
OBJECT_PRONOUNS = words("me us you him her it them this that these those one everyone everybody someone somebody")
INDEFINITES = words(
    "anyone anybody someone somebody everyone everybody nobody none anything something everything nothing"
)
SUBJECT_STARTERS = PERSONAL | DETERMINERS | INDEFINITES | words("there one people anyone's")
MODALS = words("will would shall should can could may might must")
BE = words("am is are was were")
AUXILIARIES = MODALS | BE | words("do does did have has had")
WH = words("what who whom whose which when where why how")
PREPOSITIONS = words(
    "with for on at to about in of from by into onto over under after before during until till between among"
    " through throughout against across around behind beside besides within without via per near since towards"
    " toward upon off out up down regarding concerning"
)
CONJUNCTIONS = words("and or but so because although though while whereas unless if whether that than as once when")
NUMBERS = words(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion half"
    " dozen couple"
)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
TIME_WORDS = (
    frozenset(WEEKDAYS)
    | frozenset(MONTHS)
    | words(
        "today tomorrow tonight yesterday now later soon morning afternoon evening night noon midnight day days"
        " week weeks month months year years hour hours minute minutes second seconds quarter weekend moment eod"
        " cob eow eom o'clock am pm lunch lunchtime first thing next last"
    )
)
FILLERS = words(
    "okay ok so um uh er erm hmm mm yeah yes yep yup well and but then also now right sure alright great fine cool"
    " perfect hey hi hello oh ah basically actually honestly anyway anyways look listen sorry finally plus besides"
    " therefore thus otherwise instead additionally meanwhile lovely excellent awesome super absolutely certainly"
    " definitely firstly secondly thirdly lastly further furthermore moreover again thanks agreed exactly fantastic"
    " first brilliant wonderful understood true correct indeed obviously clearly apparently luckily unfortunately"
    " no good or"
)
"""Words that may stand before a clause without changing what it does."""

ADVERBS = words(
    "also just still then first now please really simply maybe perhaps always kindly personally probably possibly"
    " definitely certainly quickly immediately gladly happily already soon later again together at least even only"
    " either too instead tomorrow today tonight all both each once ever actually basically currently surely quite"
)
TEAM_NOUNS = words(
    "council clinic hospital bank insurer ministry authority court school university trustees garage workshop"
    " team department group crew squad staff office committee board colleague colleagues assistant technician"
    " technicians engineer engineers manager managers director supervisor boss lawyer lawyers lead developer"
    " developers designer designers tester testers accountant accountants agent agents guys guy folks person people"
    " representative rep reps specialist specialists consultant consultants contractor contractors vendor supplier"
    " partner intern interns architect architects analyst analysts administrator admin admins electrician plumber"
    " installer installers secretary auditor auditors officer nurse doctor tutor trainer coordinator expert experts"
    " company agency division unit desk personnel operator operators driver caretaker landlord provider recruiter"
    " recruiters member members warehouse carrier courier ceo cto cfo coo owner president broker editor"
)
"""Heads of noun phrases that can act on purpose."""

DEPARTMENTS = words(
    "marketing sales engineering legal finance accounting procurement purchasing hr it support operations ops"
    " logistics billing compliance product design qa security management facilities payroll infrastructure devops"
    " reception development research communications"
)
CROWD = words("guys team everyone everybody folks all people friends colleagues")

ACTION_VERBS = words(
    "accept add adapt address adjust advertise align allocate amend analyse analyze announce answer apply appoint"
    " approve archive arrange ask assemble assess assign assist attach audit authorise authorize automate back"
    " backup benchmark book bring brief budget build bundle buy calculate calibrate call cancel capture carry cast"
    " chair change charge chase check choose circulate clarify classify clean clear click close collate collect"
    " combine commission commit communicate compare compile complete compose compress compute conduct configure"
    " confirm connect consolidate construct consult contact contribute convert convince coordinate copy correct"
    " cover craft create credit cut debug decide declare decommission define delegate delete deliver demo"
    " demonstrate deploy describe design detail determine develop diagnose dial digitise disable disconnect discuss"
    " dismantle dispatch dispute distribute divide do document double-check download draft draw drive drop"
    " duplicate edit eliminate email employ enable encrypt enforce enrol enroll ensure enter escalate establish"
    " estimate evaluate examine exchange execute expand expedite export extend extract facilitate fax fetch figure"
    " file fill filter finalise finalize find finish fix flag format formulate forward fund gather generate give"
    " grab grant group hand handle hang highlight hire host identify implement import improve include incorporate"
    " increase index inform initiate insert inspect install instruct integrate interview introduce invest"
    " investigate invite invoice issue iron join label launch lay lead lease lift limit link list load locate lock"
    " log lower mail maintain make map mark market measure mention merge message migrate modify monitor mount move"
    " name negotiate nominate note notify number obtain offer onboard open optimise optimize order organise"
    " organize outline outsource overhaul package pack paint park pass paste patch pay perform phone photograph"
    " pick pilot ping pitch place plan plug polish populate post postpone practise practice prepare present press"
    " price print prioritise prioritize process procure produce program promote proofread propose provide publish"
    " pull purchase push put quantify query quote raise rank reach reactivate read rearrange reassign reboot rebook"
    " rebuild recalculate recheck recommend reconcile reconfigure record recover recruit redesign redirect redo"
    " reduce refactor refer refill refine refresh refund register reinstall reissue reject release reload remind"
    " remove rename renew renegotiate rent reopen reorder reorganise repair repeat replace reply report reproduce"
    " request rerun research reschedule resend reserve reset reshape resize resolve respond restart restock restore"
    " restructure resubmit resume retest retire retrain retrieve return reverse review revise revert revoke rework"
    " rewrite ring roll rotate route run sand save scan schedule scope screen seal search secure select sell send"
    " separate serve set settle share shift ship shorten shred shut sign simplify simulate sketch solve sort source"
    " specify split sponsor staff stamp standardise start stop store streamline structure study submit substitute"
    " summarise summarize supervise supply support swap switch sync synchronise synchronize tackle tag take talk"
    " target teach tell test text throw tidy tighten track train transcribe transfer translate transport trace"
    " treat trigger trim troubleshoot try turn type unblock uninstall unlock unplug unsubscribe update upgrade"
    " upload use validate verify visit vote waive walk warn wash water whitelist wipe wire withdraw work wrap write"
    " zip advise allow attend block bump cook cross-check defer dig distil drop-ship earmark fast-track hold liaise"
    " loop notarise overnight probe reimburse relay relocate remeasure reprint reship scrap segment sanitise"
    " shortlist spread stage stick stress-test stock subscribe sunset tender time-box transition triage tweak unify"
    " vet view weed word spell-check pre-order sign-off screenshot"
)
"""Verbs that name something a person does on purpose, base form."""

UNPLANNED_VERBS = words(
    "know think say admit love like hate feel hope wish believe guess bet suppose assume imagine remember forget"
    " understand realise realize mean seem appear sound smell taste want need own belong contain consist depend"
    " deserve doubt envy exist fear lack matter mind miss prefer recognise recognize regret resemble suffer trust"
    " worry wonder enjoy survive live die sleep stay wait become happen fall rise grow lose win gain benefit"
    " receive notice hear experience expect agree disagree appreciate thank welcome apologise apologize"
    " congratulate greet confess concede assure swear last cost weigh fit suit manage cope relax rest arrive leave"
    " sit stand stress laugh cry smile joke see face endure tolerate fail succeed struggle tend remain continue"
    " differ age learn vary emphasise emphasize reiterate remark argue insist pretend dream pray vanish disappear"
    " proceed skip jump pause breathe conclude begin kick dive zoom echo shout second caution acknowledge"
)
"""States, feelings, experiences and acts of the talk itself: never a task on their own."""

ERRAND_VERBS = words(
    "send check prepare fix confirm review update draft write email mail call arrange schedule book forward share"
    " handle organise organize contact order submit sign approve finish complete deliver upload collect translate"
    " test print install report pay notify set look take follow get"
)
"""What "he", "she" and "they" are told of as errands; other futures about them are mostly news."""

SPEECH_VERBS = words(
    "mention explain clarify describe recap repeat rephrase highlight introduce illustrate remind warn show touch"
    " elaborate comment state"
)
"""Verbs that announce what the speaker does in this very talk, unless a later time or another hearer is named."""

ON_THE_SPOT_VERBS = words(
    "find present demonstrate read note add start open share answer summarise summarize outline address ask pull bring"
    " give get turn hand play run walk quote"
)
"""After "let me" and "let's", these mostly say what happens in the talk itself ("Let me open the file")."""

MEETING_NOUNS = words(
    "viewing visit date"
    " call calls meeting meetings session sessions demo review reviews sync sync-up syncs chat catch-up catchup"
    " check-in check-ins checkin follow-up follow-ups followup appointment appointments slot slots round interview"
    " hour half-hour time invite invites invitation one-on-one 1:1 standup stand-up retro retrospective kickoff"
    " kick-off walkthrough walk-through conversation discussion huddle touchpoint debrief checkpoint videocall"
    " phonecall teleconference"
)
ARRANGE_VERBS = words(
    "schedule set arrange book organise organize plan find put hold have do make block reserve coordinate fix get"
    " reschedule add propose request"
)
REGROUP_VERBS = words("reconvene regroup reconnect revisit sync sync-up convene re-sync follow-up followup resync meet")
CONTACT_VERBS = words(
    "call ping contact message text email e-mail write phone ring buzz dm update notify mail reach page"
)

FIRST_NAMES = words(
    "aaron abby abdul abigail adam adele adrian ahmed aisha alan albert alejandro alex alexander alexandra alexis"
    " ali alice alicia alina alison allison amanda amber amelia amina amir amit amy ana anastasia andre andrea"
    " andreas andrew andy angela anika anil anita anja ann anna anne annie anthony antonio anya ariel arjun arthur"
    " asha ashley astrid audrey aurora austin ava barbara beatrice becky ben benjamin bernard beth betty bianca"
    " bill billy bob bogdan boris brad brandon brenda brian bridget bruce bruno caleb cameron camila carl carla"
    " carlos carmen carol caroline carolyn catherine cathy cecilia celia charles charlie charlotte chen chloe chris"
    " christian christina christine christopher cindy claire clara claudia clemens colin connor craig cynthia dan"
    " dana daniel daniela daria darren dave david dean deborah debbie denise dennis derek diana diane diego dimitri"
    " dina dmitri dominic don donald donna dora dorothy doug douglas duncan dylan ed eddie edgar edith eduardo"
    " edward eileen elaine elena eli elias elijah elisa elise elizabeth ella ellen ellie emil emilia emily emma"
    " enrique eric erica erik erika erin ernest esther ethan eugene eva evan eve evelyn fabian farah fatima felicia"
    " felix fernando fiona florian fran frances francesca francis francisco frank franz fred frederick gabriel"
    " gabriela gareth gary gemma geoff george gerald gerard gina giovanni gloria gordon grace graham greg gregory"
    " greta guido gustavo hana hank hannah hans harold harry hassan heather hector heidi helen helena helene henrik"
    " henry herbert holger holly howard hugh hugo ian ibrahim ida igor imran ines ingrid irene irina iris isaac"
    " isabel isabella ivan jack jackie jackson jacob jacques jake jamal james jamie jan jana jane janet janice"
    " jason jasmine javier jay jean jeff jeffrey jenna jennifer jenny jeremy jerome jerry jess jesse jessica jill"
    " jim jimmy jo joan joanna joe joel johan johanna john johnny jonas jonathan jordan jorge jose josef joseph"
    " josh joshua joyce juan juanita judith judy julia julian juliana julie julien juliet julio justin kai kamal"
    " karen karim karin karl karla kate katherine kathleen kathy katie katja katrin kay keith kelly ken kenneth"
    " kenji kerry kevin khalid kim kirsten klaus kristen kristin kumar kurt kyle lara larry lars laura lauren lea"
    " leah leila lena leo leon leonard leslie lewis liam lila lily lina linda lisa liz logan lorenzo louis louise"
    " luca lucas lucia lucy luis luke lydia lynn madison magda malik manuel marco marcos marcus margaret maria"
    " marianne marie marina mario marion marisa marissa martha martin martina marvin mary mateo mathias matt matteo"
    " matthew matthias maureen maurice max maya megan mehmet mei melanie melissa mia michael michelle miguel mike"
    " mila milan mina mira miriam mohamed mohammed moira molly monica monika morgan mustafa nadia nadine nancy"
    " naomi natalia natalie natasha nathan neha neil nelson nia nicholas nick nicola nicolas nicole nigel nikhil"
    " nikolai nina noah noel nora norman olaf oleg olga oliver olivia omar oscar osman otto owen pablo pamela paolo"
    " pascal patricia patrick paul paula pedro peggy penny peter petra phil philip philipp phoebe pierre piotr"
    " priya rachel rafael rahul raj rajesh ralf ralph ramon raquel ravi ray raymond rebecca regina renata rene"
    " ricardo richard rick rita rob robert roberto robin rodrigo roger roland roman ronald rosa rosie ross roxanne"
    " roy ruben rudy rupert russell ruth ryan sabine sabrina sally sam samantha samir samuel sandra sandy sanjay"
    " santiago sara sarah sasha scott sean sebastian selma serena sergei sergio seth shane shannon sharon sheila"
    " shirley sienna silvia simon simone sofia sonia sonja sophia sophie stacy stan stefan stefanie stella stephan"
    " stephanie stephen steve steven stewart stuart sue sunil suresh susan susanna susanne suzanne sven svetlana"
    " sylvia tamara tanya tara tatiana ted teresa terry theo theodor theresa thomas tim timothy tina tobias todd"
    " tom tomas tommy tony tracy travis trevor trudy tyler ulrich ursula valentina valeria valerie vanessa vera"
    " veronica victor victoria vijay vikram vincent viola violet virginia vivian vladimir walter wanda wayne wei"
    " wendy werner wesley will william wolfgang xavier yasmin yolanda yusuf yvonne zach zachary zara zoe"
) - words("will may")
"""First names, for text in lower case only: where capitals are kept, they tell names."""
