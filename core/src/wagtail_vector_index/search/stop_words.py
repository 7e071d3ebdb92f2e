"""Words that are in nearly every text of a language, and so say nothing about its subject."""

from __future__ import annotations

__all__ = ["STOP_WORDS"]

#: The stop words of a language, by its code. Other languages have none here; their common words
#: count little anyway, because rare words count more.
STOP_WORDS: dict[str, frozenset[str]] = {
    "de": frozenset(
        """
        aber alle allem allen aller alles als also am an andere anderen anderer anderes auch auf aus
        bei bin bis bist da dabei dadurch damit dann das dass davon dazu dein deine deinem deinen
        deiner dem den denn der deren des dessen dich die dies diese diesem diesen dieser dieses dir
        doch dort du durch ein eine einem einen einer eines er es etwas euch euer eure für gegen
        gibt hab habe haben hat hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren
        ihrer im in ins ist ja jede jedem jeden jeder jedes jener jetzt kann kannst kein keine
        keinem keinen keiner können könnt man manche mein meine meinem meinen meiner mich mir mit
        muss müssen nach nicht nichts noch nun nur ob oder ohne sehr sein seine seinem seinen seiner
        seit sich sie sind so solche soll sollen sondern sonst über um und uns unser unsere unter
        viel vom von vor war waren warum was weil welche welchem welchen welcher welches wem wen
        wenn wer werde werden wie wieder will wir wird wo wohin wurde wurden zu zum zur zwischen
        """.split()
    ),
    "en": frozenset(
        """
        a about above after again against all am among an and any are as at be because been before
        being below between both but by can cannot could couldn did didn do does doesn doing don
        down during each either else ever every few for from further had hadn has hasn have haven
        having he her here hers herself him himself his how however i if in into is isn it its
        itself just many may me might mine more most much must my myself neither no nor not now of
        off on once only or other our ours ourselves out over own same shall she should shouldn
        since so some such than that the their theirs them themselves then there therefore these
        they this those though through thus to too under until up us very was wasn we were weren
        what when where whether which while who whom whose why will with would wouldn yet you your
        yours yourself yourselves
        """.split()
    ),
    "es": frozenset(
        """
        a al algo algunas algunos ante antes aquel aquella aquellos aún aunque bajo cada como cómo
        con contra cual cuál cuales cuáles cuando cuándo de del desde donde dónde dos durante e el
        él ella ellas ellos en entre era eran es esa esas ese eso esos esta está estaba están estas
        este esto estos estoy fue fueron ha había han hasta hay he la las le les lo los más me mi
        mí mis mucho muy nada ni no nos nosotros nuestra nuestras nuestro nuestros o os otra otras
        otro otros para pero poco por porque puede puedo pues que qué quien quién quienes se sea ser
        si sí sido sin sobre somos son soy su sus también tan tanto te tener tengo ti tiene tienen
        todo todos tu tú tus un una unas uno unos vosotros y ya yo
        """.split()
    ),
    "fr": frozenset(
        """
        a à ai ainsi alors après as au aucun aussi autre autres aux avant avec avez avoir avons c ça
        car ce ceci cela celle celles celui ces cet cette ceux chaque chez comme comment d dans de
        depuis des donc dont du elle elles en encore entre es est et étaient était être eu fait
        faut il ils j je jusqu l la là laquelle le lequel les lesquels leur leurs lui m ma mais me
        même mes moi mon n ne ni non nos notre nous on ont ou où par parce pas pendant peut peux
        plus pour pourquoi pouvez puis qu quand que quel quelle quelles quels qui quoi s sa sans se
        sera ses si soi son sont sous sur t ta te tes toi ton tous tout toute toutes très tu un une
        vers vos votre vous y
        """.split()
    ),
    "it": frozenset(
        """
        a ad agli ai al alla alle allo anche ancora avere c che chi ci come con contro cosa cui d da
        dagli dai dal dalla dalle dallo degli dei del dell della delle dello di dove due e è ed era
        erano essere fra gli ha hai hanno ho i il in io l la le lei li lo loro lui ma me mi mia mie
        miei mio molto ne negli nei nel nella nelle nello no noi non nostra nostre nostri nostro o
        ogni per perché però più poi possiamo posso può qual quale quali quando quanto quella quelle
        quelli quello questa queste questi questo qui se sei senza si sia siamo siete solo sono
        sopra sta su sua sue sugli sui sul sulla sulle suo suoi te ti tra tu tua tue tuo tuoi tutti
        tutto un una uno vi voi vostra vostro
        """.split()
    ),
    "nl": frozenset(
        """
        aan al alle alles als altijd ander andere ben bij daar dan dat de den deze die dit doch doe
        doen door dus een en er ge geen had heb hebben heeft hem het hier hij hoe hun iemand iets ik
        in is ja je jij jou jouw jullie kan kon kunnen kunt maar me meer men met mij mijn moet
        moeten na naar niet niets nog nu of om omdat ons onze ook op over te tegen toch toen tot u
        uit uw van veel voor waar waarom wanneer waren was wat we wel welk welke werd wezen wie wij
        wil worden wordt zal ze zelf zich zij zijn zo zonder zou
        """.split()
    ),
    "pt": frozenset(
        """
        a à ainda ao aos as às até cada com como da das de dela delas dele deles depois do dos e é
        ela elas ele eles em entre era eram essa essas esse esses esta está estão estas este estes
        estou eu faz foi foram há isso isto já la lhe lhes lo mais mas me mesmo meu meus minha
        minhas muito na não nas nem no nos nós nossa nossas nosso nossos num numa o onde os ou
        outra outras outro outros para pela pelas pelo pelos pode podem por porque posso qual quais
        quando que quê quem são se sem ser será seu seus si só sobre somos sou sua suas também te
        tem têm temos tenho ter teu teus tu tua tuas um uma umas uns você vocês vos
        """.split()
    ),
}
