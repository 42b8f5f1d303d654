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
    " sister brother wife husband son daughter mother father mum mom dad cousin nephew niece neighbour neighbor uncle"
    " aunt company agency division unit desk personnel operator operators driver caretaker landlord provider"
    " recruiter"
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
    " swing swipe scroll tap toggle vet view weed word spell-check pre-order sign-off screenshot"
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
    " proceed jump pause breathe conclude begin kick dive zoom echo shout second caution acknowledge"
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
    "find present demonstrate read note add start open share answer summarise summarize outline address ask"
    " pull bring"
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
    "aaron abby abdul abdullah abena abigail adaeze adam adebayo adela adele adrian adriana adrienne agata agnes"
    " agnieszka ahmad ahmed aidan aiko aileen aino aisha aisling akeem akiko akira alan alasdair albert alberta"
    " albertina alden aldo alejandro aleksandar aleksandra alessandra alessandro alessia alex alexander alexandra"
    " alexis alfonso alfred alfredo ali alice alicia alina alisha alison alistair allan allen allison alma aloysius"
    " alvaro alyssa amadou amaka amanda amandine amara amarjit amber amelia amelie amina amir amit amparo amy ana"
    " anabel anastasia anatoly anders andre andrea andreas andree andrew andy angela angelica angelina angelo angus"
    " anika anil anita anja anjali ann anna annabel anne annelise annette annie annika anouk ansel anselm anthony"
    " antoine anton antonella antonia antonio anwar anya aoife araceli archana archie aretha ariana ariel arif arjun"
    " arlene arlo armando arnaud arnold aroha artem arthur arturo arun aryan asha ashley asif asma astrid asuka"
    " athena"
    " atsushi audrey augustin aurelie aurelio aurora austin ava ayesha ayse aziz azra balazs baljit barbara bartek"
    " bashir bastian beata beatrice beatriz becky belinda ben benedict benedikt benita benjamin benoit berat"
    " bernadette bernard bernardo bernd bertha bertrand beth betty bianca bilal bill billy birgit bjorn blanca bob"
    " bodil bogdan bohdan bonnie boris boyd bozena brad bram brandon brenda brendan brenna brent brett brian bridget"
    " brigitte britta bronwyn bruce bruno bryan bryce bryony burak caitlin caleb callum calvin cameron camila candice"
    " carina carl carla carlos carlotta carmela carmelo carmen carol carole carolina caroline carolyn carrie carsten"
    " casey cassandra catalina catarina catherine cathy cecilia cedric celeste celia celine cesar chandra chantal"
    " charles charlie charlotte charmaine chaya chelsea chen cheng cheryl chiara chidi chika chinedu chioma chloe"
    " chris christa christel christian christina christine christopher christos ciara cillian cindy claire clara"
    " clarice clarissa clark claude claudia claudio clemens clement clementine clifford clive clyde colette colin"
    " colleen concepcion conchita connor conor constance consuelo corinna corinne cormac cornelia cosima courtney"
    " craig cristian cristina cynthia cyril dagmar dalia damian damien damon dan dana danica daniel daniela danielle"
    " danilo danuta daphne daria darius darko darlene darnell darragh darrell darren dave david davide davina davor"
    " dean debbie deborah debra declan deepa deepak deirdre delia delphine delroy demetrius denis denise dennis"
    " denzel"
    " derek derya desiree desmond devon dexter dhruv diana diane diego dieter dilip dimitra dimitri dimitris dina"
    " dinesh dirk divya dmitri dolores domenico domingo dominic dominik dominika dominique don donal donald donna"
    " donnie dora doreen dorian doris dorota dorothy doug douglas dragan duarte dulce duncan dusan dwayne"
    " dwight dylan"
    " eamon eberhard ebony ed eddie edgar edith edna eduard eduardo edward edwin efosa egon eileen eilidh ekaterina"
    " elaina elaine elan eleanor elena eleni eli elias elif elijah elio elisa elise eliza elizabeth elke ella ellen"
    " ellie elliot elliott elmer elodie eloise elsa elsie elvira emanuel emeka emerson emil emilia emilie"
    " emilio emily"
    " emma emmanuel emmett emre enid enrique enzo ephraim eric erica erich erik erika erin erling ernest"
    " ernesto errol"
    " erwin esme esmeralda esperanza esteban estelle esther ethan ethel etienne eugene eugenia eugenie eunice"
    " eva evan"
    " eve evelyn evgeny ewa ewan ezra fabian fabio fabiola fabrice faisal farah farid farida fatima fatou fatoumata"
    " faye federica federico felicia felix feng ferdinand fergus fernanda fernando filip filippo fiona fionn flavia"
    " flora florence florian floyd fran franca frances francesca francine francis francisco franco francois francoise"
    " frank frankie franz françoise fred freddie freddy frederick freya frida frieda friedrich fritz fumiko gabriel"
    " gabriela gabrielle gaetano galina gareth gary gaston gaurav gavin gemma genevieve geoff george georgia georgina"
    " gerald gerard gerda gerhard germaine gertrude giacomo gianna gianni gideon gilbert gilberto giles gillian gina"
    " gino giovanni gisela giselle giulia giuseppe gladys glen glenda glenn gloria goran gordon grace graciela graeme"
    " graham greg gregory greta gretchen grzegorz guadalupe guido guillaume guillermo gunnar gunther gurpreet gustavo"
    " gwen gwendolyn habib haider hakan hakim haley halima hamid hamish hamza hana hanan hank hannah hanne"
    " hannes hans"
    " haoran harald hari haris harjit harold harpreet harriet harry haruka haruki harvey hasan hassan heather hector"
    " hedda hedwig heidi heike heinrich heinz helen helena helene helga helmut henk henrietta henrik henry herbert"
    " hermann hermine hernan hiba hideo hilary hilda hilde hiram hiro hiroko hiroshi holger holly horace horst"
    " hortense howard hubert huda hugh hugo humberto hussein iain ian ibrahim ibrahima ida idris ignacio"
    " ignatius igor"
    " ikram ilaria ilse ilya imani imelda imogen imran indira ines inga inge ingeborg ingo ingrid inigo ioana ione"
    " irene irfan irina iris irma irving isaac isabel isabella isaiah isha ismael ismail isolde istvan itzel ivan"
    " ivana ivo ivonne izabela jaap jacek jacinta jack jackie jackson jacob jacqueline jacques jada jagdish"
    " jaime jake"
    " jakob jakub jamal james jamie jamila jan jana jane janek janelle janet janice janine janis jared jarek jaroslav"
    " jasmin jasmine jason javier jay jayden jean jeanette jeanne jeannie jeff jeffery jeffrey jelena jenkins jenna"
    " jennifer jenny jens jeremy jerome jerry jerzy jesper jess jesse jessica jiho jihye jill jim jimmy jin"
    " jing jitka"
    " jo joachim joan joanna joao joaquin jocelyn jodie joe joel joelle joerg johan johann johanna johannes john"
    " johnny jolanda jolene jon jonah jonas jonathan jonathon joost jordan jorg jorge joris jose josef josefina"
    " joseph"
    " josephine josette josh joshua josiah josie josip jovan joyce juan juana juanita judit judith judy julia julian"
    " juliana juliane julianna julie julien juliet julieta juliette julio juliusz junko jurgen justin justine justyna"
    " jutta kai kaitlyn kalani kalle kamal kamil kamila kandice kanye kareem karen karim karin karina karl karla"
    " karsten kasia kaspar katarina katarzyna kate katerina katherine kathleen kathrin kathryn kathy katie katja"
    " katrin katrina kavita kay kayla kazuki kazuko keiko keira keiran keisha keith kelly kelvin ken kendra kenji"
    " kenneth kenta kerry kerstin ketan kevin kevork khadija khaled khalid kiara kieran killian kim kimberly kimiko"
    " kiran kirsten kirsty kitty klaus knut koen kofi koji konrad konstantin kostas krishna krista kristen kristian"
    " kristin kristina kristof kristofer krystyna krzysztof kumar kunal kurt kwame kwesi kyle kyra laila"
    " lakshmi lamar"
    " lana lara larissa larry lars latisha latoya laura lauren laurence laurent lauri lavinia lawrence layla lea leah"
    " leandro leif leila leilani lelani lena lennart lennox leo leon leonard leonardo leonie leonor leopold leroy"
    " lesley leslie leticia levi lewis liam lidia lila lilian liliana lillian lily lina linda lionel lisa lisbeth"
    " livia liz lloyd logan loic lois lola loredana lorena lorenzo lorna lorraine lotta lottie louis louisa louise"
    " lourdes lowell luc luca lucas lucia lucie lucien lucille lucinda lucy ludmila ludovic ludwig luigi luis luisa"
    " lukas lukasz luke luther luz lydia lyle lynn lyudmila mabel maciej mackenzie madeleine madeline madison maeve"
    " magda mahmoud maisie maite makoto malcolm malgorzata malik mallory mamadou mandla mandy manfred manish manjit"
    " manoj manuel manuela mara marcel marcela marcello marcia marcin marco marcos marcus mareike marek margaret"
    " margaux margit margot marguerite maria mariam mariana marianna marianne mariano maribel marie marieke mariela"
    " marietta marika mariko marilena marilyn marina mario marion marisa marisol marissa marjorie marko markus"
    " marlene"
    " marlon marnie marta marten martha martin martina marvin mary masako masashi massimo mateo mathias mathieu"
    " mathilde mats matt matteo matthew matthias mattias maura maureen maurice mauricio maurizio mavis max maximilian"
    " maxine maya mbali meera megan mehdi mehmet mehreen mei meike melanie melinda melissa melvin meredith mervin"
    " mervyn mia micah michael michaela michal michele michelle michiko miguel miguelina mikael mike mikhail mikko"
    " mila milan mildred milena milos milton mimi mina minh minna mira mirela miriam miroslav mitchell mitsuko modou"
    " mohamed mohammad mohammed mohan moira moises molly moncef monica monika monique montserrat morgan moritz morten"
    " moses mukesh muriel murray mustafa myra myriam myron nadezhda nadia nadine nadja nagisa nancy naoko naomi naoto"
    " naresh nasreen nasser natalia natalie natasa natasha nathalie nathan nathaniel naveen navid nayeli ned neema"
    " neha neil nela nelly nelson nestor neville ngozi nia nicholas nick nicky nicola nicolas nicole nicolette nicolo"
    " niels nigel nikhil nikita niklas nikola nikolai nikos nils nilufar nimrod nina nisha nneka noah noel noelle"
    " noemi nolan noor nora norbert norma norman nuno nura nuria nyasha obinna octavia octavio odette ofelia"
    " olaf olav"
    " oleg oleksandr olena olga oliver olivia olivier olumide oluwaseun omar omari ondrej oonagh oren orla orlaith"
    " orlando orson osama oscar osman oswald otilia ottavia ottilie otto owen pablo padma padraig paige palesa paloma"
    " pamela pankaj paolo paresh parisa parvati pascal pascale patrice patricia patrick patrizia patrycja paul paula"
    " pavel pawel pedro peggy pei-shan penelope penny percy pernille petar peter petra petros phil philip philipp"
    " philippa philippe phoebe pia pierre pierrette pilar piotr pooja poonam pradeep prakash pranav preeti priscilla"
    " priya priyanka przemek quentin quincy quinn rachel rachelle radek radoslav rafael rafaela rafal raffaele raghav"
    " rahel rahul raisa raj rajan rajesh ralf ralph ramesh ramiro ramon ramona randall randy rania raphael raquel"
    " rasheed rashid rasmus raul ravi ray rayan raymond rebecca reena refugio reggie regina reginald reiko reina"
    " reiner remi remy renata renaud rene renee renzo reuben reza rhea rhiannon rhoda rhonda rhys ricarda ricardo"
    " riccardo richard richie rick riku rina rita riya rob robert roberta roberto robin rocco rocio roderick rodney"
    " rodrigo rogelio roger rogerio rohan rohit roland rolf romain roman romy ronald ronan ronja ronnie roopa"
    " roosevelt rosa rosalie rosalind rosalyn rosamund rosanna rosario rosemarie rosemary roshan rosie ross roswitha"
    " rowena roxana roxanne roy roya ruben rubina rudolf rudy rufus rupert ruslan russ russell ruta ruth ryan ryoko"
    " ryota saba sabine sabrina sachiko sadia sadie saeed safiya sahar sakura salim sally salma salome salvador"
    " salvatore sam samantha samir samira samuel sandra sandy sanjay sanjeev sanjit sanne santiago saoirse sara sarah"
    " sasha saskia satoshi saul sayed scott seamus sean sebastian sebastien selim selina selma semyon serena serge"
    " sergei sergio seth severin shahid shakira shane shanelle shanice shannon sharif sharon shaun shauna shawn"
    " sheena"
    " sheila shelby shelley shelly sherry shinji shirin shirley shiv shivani shoshana shreya siddharth siegfried"
    " sienna sigrid silas silje silke silvana silvia silvio simon simona simone sinead siobhan sipho sizwe snezana"
    " sofia solange solomon solveig sonia sonja sophia sophie soraya soren spencer stacy stan stanislav stanley"
    " stavros stefan stefania stefanie stefano stella stellan stephan stephane stephanie stephen steve steven stevie"
    " stewart stuart sue sujata sukhdeep suki sumit sunil suniti suresh susan susana susanna susanne sushila suzanna"
    " suzanne svein sven svenja svetlana swati sybil sylvester sylvia sylvie tabitha tadeusz taisiya takashi takeshi"
    " talia tallulah tamar tamara tamika tamsin tania tanisha tanja tanya tara tarek tariq tasha tatiana"
    " tatjana tatum"
    " taylor teagan ted teegan teodor terence teresa teresita terje terrence terry tess tessa thabo thaddeus thais"
    " thandi thanh thea thelma theo theodor theodora theodore theresa therese theresia thibault thierry thijs thomas"
    " thomasina thora thorsten tiago tiana tiffany tihana tilda tilly tim timo timon timothy tina titus tobiah tobias"
    " todd tom tomas tomasz tomislav tommy tomoko tony tonya torben torsten tova tove tracy travis treena trevor"
    " tristan troy trudy tuan tuomas tyler tyrone tyson udo ulf ulla ulrich ulrike umar ursula usha uwe vaclav"
    " valentin valentina valentino valeria valerie valeriy vanessa vanya vasilis vaughn veena velma vera verena"
    " vernon"
    " veronica veronika vesna vicente vicki vicky victor victoria vijay vikram viktor viktoria vilma vinay vince"
    " vincent vincenzo vineet vinod viola violet virgil virginia virginie vishal vita vito vitor vittoria vivek"
    " vivian"
    " vivien vivienne vladimir vladislav vojtech volker volodymyr wade wafa wallace walt walter wanda wanjiru warren"
    " warwick waseem wayne wei wen wenche wendell wendy werner wesley wieslaw wilbur wilfred wilfried wilhelm"
    " wilhelmina will willem william willie wilma wilson winifred winston wojciech wolfgang woodrow xander xavi"
    " xavier"
    " xiao xiaoming ximena xiomara yael yannick yannis yara yasin yasmin yasmine yasuko yelena yevgeny yoko yolanda"
    " yosef yoshi yuki yukiko yuri yuriy yusra yusuf yvette yvon yvonne zach zachary zahra zainab zak zara"
    " zeinab zeke"
    " zeynep zhanna zita zoe zofia zoltan zora zsofia zubair zuleika zuzana"
) - words("will may")
"""First names, for text in lower case only: where capitals are kept, they tell names."""
