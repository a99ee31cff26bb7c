"""Given names that one person may go by, for people who register under another than their own.

Each line is a set ("William", "Bill"). Written by hand from common usage in English, Spanish, German and Dutch;
matching has another list (the package nicknames), so that the two may disagree, as clerks and lists do.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

__all__ = ["pet_names"]

_GROUPS: Final = """
    abigail abby abbie gail
    abraham abe bram ibrahim
    adelaide adele addie heidi
    agnes aggie
    albert al bert bertie
    alexander alex alec al sasha sandy xander lex
    alexandra alex alexa sandra sandy sasha lexi
    alfred al alf fred freddy alfie
    alice allie
    alison allison allie ali
    amanda mandy manda amy
    andrea andi drea
    andrew andy drew
    angela angie angel
    ann anne anna annie nan nancy anita
    anthony tony antonio anton
    antonio tony toni toño
    arnold arnie
    arthur art artie
    barbara barb babs barbie bobbie
    benjamin ben benny benji
    bernard bernie
    bernhard bernd bernie
    beatrice bea trixie beatriz
    bradley brad
    bridget biddy bridie
    caroline carolina carrie lina carol
    carolyn carol carrie lyn
    catherine cathy kate katie cat cathryn kathryn kathy katherine kay kitty catalina
    cecilia cece cissy celia
    charles charlie chuck chas chip carlos karl
    charlotte lottie charlie lotte
    christina chris tina chrissy christine kristina kristin kris
    christine chris chrissy tina christina
    christopher chris kit topher kris
    clarence clare
    clifford cliff
    concepcion concha conchita
    cynthia cindy
    daniel dan danny
    daniella dani ella
    david dave davey davy
    deborah debbie deb debra
    dennis denny
    dolores lola lolita
    dominic dom nick dominick
    donald don donnie donny
    dorothy dot dottie dolly dorothea
    douglas doug
    edgar ed eddie
    edmund ed eddie ned ted
    edward ed eddie ted teddy ned eduardo
    edwin ed eddie
    eleanor ellie ella nell nora elinor lenore
    elizabeth liz lizzie beth betty betsy eliza bess bessie libby lisa lise elisabeth elsie elise ellie isabel
    ellen ellie nell helen
    emily em emmy millie
    emma em emmy
    enrique quique kike
    ernest ernie
    esther essie hester
    eugene gene
    eugenia genie
    eva eve evita
    evelyn evie eve lyn
    frances fran francie fanny frankie
    francis frank fran
    francisco paco pancho frank francis
    franklin frank
    franz frank
    frederick fred freddy fritz rick frederic
    friedrich fritz fred
    gabriel gabe
    gabriella gabby ella gabriela gabi
    gary gaz
    george georgie jorge georg
    georgina georgie gina
    gerald gerry jerry
    gerard gerry jerry
    geraldine gerry geri
    gertrude trudy gertie gert
    gilbert gil bert
    gregory greg gregg
    grace gracie
    guadalupe lupe lupita
    gwendolyn gwen wendy
    hannah anna hanna
    harold harry hal
    harriet hattie harrie
    helen nell ellen helena lena elena
    helena lena helen
    henry harry hank hal henrik heinz
    heinrich heinz henry
    herbert herb bert
    howard howie
    ignacio nacho
    irene rena
    isaac ike zac
    isabel isabella bella izzy belle isabelle ella
    jacob jake jay jack coby
    jacqueline jackie jacqui jaclyn
    james jim jimmy jamie jem jaime
    jane janie jenny janet
    janet jan jane
    janice jan
    jason jay jase
    jean jeannie jeanne
    jeffrey jeff geoff jeffery geoffrey
    geoffrey geoff jeff jeffrey
    jennifer jen jenny jenna
    jeremy jerry jem
    jerome jerry
    jessica jess jessie
    jesus chucho chuy
    joan joanie jo
    joanne jo joanna joann joan
    johannes hans john johann jan
    john jack johnny jon johnathan ian jan
    jonathan jon johnny nathan
    jose pepe joe
    joseph joe joey jo josef
    josefa pepa
    josephine jo josie fina josephina
    joshua josh
    joyce joy
    judith judy jude
    julia julie jules
    julian jules
    juliana julie
    karl charles carl
    katherine kate kathy katie kay kitty kathryn kat kathleen catherine kathie katy
    kathleen kathy kate katie kay kath
    kenneth ken kenny
    kimberly kim kimmy
    klaus nikolaus nick
    laura laurie lori
    lauren laurie lori
    lawrence larry laurie lars laurence
    leonard leo len lenny leon
    leopold leo
    leslie les lesley
    lillian lily lil lilly
    linda lindy lynn
    louis lou louie luis ludwig lewis
    louise lou lulu luisa
    lucille lucy lou
    lucia lucy
    luis lucho
    lydia lyddie
    madeline maddie maddy madeleine
    manuel manny manolo
    marcus mark marc
    margaret maggie meg peggy peg marge margie madge rita greta daisy margo megan margarita maisie
    maria mary marie mia mimi maría
    marianne mary anne
    marilyn mary lyn
    marjorie marge margie
    mark marc marcus
    martha marty mattie
    martin marty
    mary molly polly mamie marie maria may
    matilda tilda tilly mattie
    matthew matt matty mateo
    maureen mo
    maurice mo morris
    maxwell max
    maximilian max
    melanie mel
    melissa mel missy lisa
    mercedes mercy merche
    michael mike mick mickey micky mitch miguel
    michelle shelly mickey chelle shell
    mildred millie
    mitchell mitch
    monica mona moni
    montgomery monty
    nancy nan ann
    natalie nat natasha
    natasha tasha nat
    nathan nate nat
    nathaniel nate nat nathan
    nicholas nick nicky nico nicolas klaus
    nicole nikki nicky nicola
    norman norm
    oliver ollie
    olivia liv livvy
    oscar ozzie
    oswald ozzie
    pamela pam
    patricia pat patty tricia trish patsy
    patrick pat paddy rick
    paul pauly pablo
    paula polly
    pauline polly
    penelope penny
    peter pete pedro
    philip phil pip phillip
    phyllis phyl
    priscilla cilla prissy
    rachel rach rae shelly
    ralph rafe
    randall randy
    raphael rafe rafael rafa
    raymond ray
    rebecca becky becca beck
    reginald reg reggie
    regina gina
    richard rick ricky dick rich richie ricardo
    robert rob bob bobby robbie bert robin roberto
    roberta bobbie robbie
    roderick rod rick
    rodney rod
    roger rodge
    roland roly
    ronald ron ronnie
    rosario chayo
    rosemary rose rosie
    rose rosie rosa
    rosalind roz ros
    roxanne roxie
    rudolf rudi rudolph
    russell russ rusty
    ruth ruthie
    salvador chava sal
    samantha sam sammy
    samuel sam sammy
    sandra sandy
    sara sarah sally sadie
    sebastian seb bas
    sharon shari
    shirley shirl
    sidney sid syd
    sigmund sig
    simon si
    sophia sophie sofia
    stanley stan
    stefan steffen steve
    stephanie steph steffi stevie
    stephen steve stevie steven stefan
    steven steve stevie stephen
    stuart stu stewart
    susan sue susie suzy suzanne susanna
    suzanne sue suzy susan
    sylvia syl
    tabitha tabby
    tamara tammy tam
    teresa terry tess tessa theresa tracy teri tere
    terence terry terrance
    theodore ted teddy theo
    theresa terry tess tessa teresa tracy
    thomas tom tommy tomas
    timothy tim timmy
    tobias toby
    valerie val
    vanessa nessa
    veronica ronnie roni vera
    victor vic vick
    victoria vicky tori vicki
    vincent vince vinny
    virginia ginny ginger gina
    vivian viv
    walter walt wally
    wendy gwendolyn
    wilhelm willi bill william will
    william bill billy will willie liam
    winifred winnie freda
    winston winnie
    yolanda yoli
    yvonne yvette
    zachary zach zack zak
"""


def _known() -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = defaultdict(set)
    for line in _GROUPS.split("\n"):
        names = line.split()
        for name in names:
            found[name].update(other for other in names if other != name)
    return {name: tuple(sorted(others)) for name, others in found.items()}


_KNOWN: Final = _known()


def pet_names(given: str) -> tuple[str, ...]:
    """List what else somebody with a given name (in small letters) goes by; nothing where none is known."""
    return _KNOWN.get(given, ())
