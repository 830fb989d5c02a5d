"""Words that say the opposite of each other, in four languages.

Only pairs of which a paraphrase keeps the side: what two people do to each other (send and receive), and
what an order turns round (before and after), is left out.
"""

from __future__ import annotations

from workbench.compare.words import bare

Pairs = tuple[tuple[frozenset[str], frozenset[str]], ...]

_EN = """
hot|cold
warm|cool
large larger largest big bigger biggest huge gigantic|small smaller smallest tiny little miniscule minuscule
high higher highest|low lower lowest
long longer longest|short shorter shortest
fast faster fastest quick quickly|slow slower slowest slowly
good better best|bad worse worst
easy easier easily simple straightforward|hard harder difficult complicated complex
old older oldest|new newer newest
early earlier earliest|late later latest
rich|poor
strong stronger|weak weaker
safe safely|dangerous unsafe risky
cheap cheaper|expensive costly
clean|dirty
full|empty
heavy|light
wet|dry
hard|soft
loud|quiet
thick|thin
wide|narrow
deep|shallow
bright|dark
young|old
fat|thin slim
happy glad|sad unhappy
alive|dead
true|false
right correct correctly|wrong wrongly incorrect incorrectly
same|different
guilty|innocent
public publicly|private privately
legal legally lawful|illegal illegally unlawful
positive|negative
maximum max|minimum min
more|less fewer
many|few
much|little
most|least
always|never
often frequently routinely usually|rarely seldom
everyone everybody|nobody
everything|nothing
everywhere|nowhere
above|below
inside|outside
increase increases increased increasing|decrease decreases decreased decreasing
rise rises rose|fall falls fell
gain gains gained|lose loses lost
win wins won|lose loses lost
succeed succeeds succeeded success successful successfully|failure unsuccessful unsuccessfully
accept accepts accepted accepting|reject rejects rejecting refuse
approve approves approved|reject rejects disapprove disapproved
allow allows allowed permit permits permitted|forbid forbids prohibit prohibits ban bans banned disallow
agree agrees agreed|disagree disagrees disagreed
enable enables enabled|disable disables disabled
activate activated active|deactivate deactivated inactive
include includes included including|exclude excludes excluded excluding
connect connects connected|disconnect disconnects disconnected
open opened|closed shut
lock locked|unlock unlocked
start starts started begin begins began|stop stops stopped end ends ended
continue continues continued|stop stops stopped
add adds added|remove removes removed
keep keeps kept|delete deletes deleted discard discarded
love loves loved|hate hates hated dislike dislikes disliked
remember remembers remembered|forget forgets forgot
present|absent
appear appears appeared|disappear disappears disappeared
available|unavailable
optional|mandatory required obligatory
temporary temporarily|permanent permanently
automatic automatically|manual manually
north northern|south southern
east eastern|west western
male|female
gradually slowly|suddenly abruptly
significant significantly|slight slightly
supportive|dissatisfied
satisfied|dissatisfied
domestic|foreign
major|minor
senior|junior
debit|credit
profit|loss
upgrade upgraded|downgrade downgraded
encrypted|unencrypted plaintext
"""
_DE = """
heiß|kalt
warm|kühl
groß große großer großen größer größte|klein kleine kleiner kleinen kleinste
hoch hohe hoher hohen höher höhere|niedrig niedrige niedriger niedrigen
lang lange langer länger|kurz kurze kurzer kürzer
schnell schneller schnelle|langsam langsamer langsame
gut gute guter besser|schlecht schlechte schlechter
einfach leicht|schwierig schwer kompliziert
alt alte alter alten|neu neue neuer neuen
früh früher|spät später
reich|arm
stark|schwach
sicher|unsicher gefährlich
billig günstig|teuer
sauber|schmutzig
voll|leer
wahr|falsch
richtig|falsch
öffentlich|privat
legal erlaubt gestattet|illegal verboten
mehr|weniger
viele|wenige
immer|nie niemals
oft häufig|selten
jeder alle|niemand
mindestens|höchstens
maximal|minimal
innen|außen
steigt steigen gestiegen erhöht|sinkt sinken gesunken gesenkt
gewonnen gewinnt|verloren verliert
erfolgreich|erfolglos gescheitert
angenommen akzeptiert genehmigt|abgelehnt
aktiviert aktiv|deaktiviert inaktiv
offen geöffnet|geschlossen
beginnt begonnen gestartet|endet beendet
hinzugefügt|entfernt
inklusive einschließlich|exklusive ausschließlich
verfügbar|ausverkauft
automatisch|manuell
vorübergehend|dauerhaft
optional freiwillig|verpflichtend obligatorisch
"""
_FR = """
chaud chaude|froid froide
grand grande grands grandes|petit petite petits petites
haut haute élevé élevée|bas basse faible
long longue|court courte
rapide rapidement|lent lente lentement
bon bonne meilleur meilleure|mauvais mauvaise pire
facile simple|difficile compliqué
nouveau nouvelle neuf|ancien ancienne vieux
tôt|tard
fort forte|faible
vrai vraie|faux fausse
correct|incorrect
plus|moins
toujours|jamais
souvent|rarement
tout tous toutes|rien aucun aucune
augmente augmenté augmentation|diminue diminué diminution baisse baissé
gagné gagne|perdu perd
réussi succès|échoué échec
accepté acceptée autorisé autorisée|refusé refusée interdit interdite
activé activée actif|désactivé désactivée inactif
ouvert ouverte|fermé fermée
commence commencé|termine terminé
ajouté ajoutée|supprimé supprimée
inclus incluse compris|exclu exclue
gratuit gratuite|payant payante
public publique|privé privée
"""
_ES = """
caliente|frío fría
grande grandes|pequeño pequeña pequeños pequeñas
alto alta|bajo baja
largo larga|corto corta
rápido rápida rápidamente|lento lenta lentamente
bueno buena mejor|malo mala peor
fácil|difícil
nuevo nueva|viejo vieja antiguo antigua
temprano|tarde
fuerte|débil
verdadero verdadera|falso falsa
correcto correcta|incorrecto incorrecta
más|menos
siempre|nunca
aumenta aumentado aumento|disminuye disminuido baja
ganado gana|perdido pierde
éxito|fracaso
aceptado aceptada aprobado aprobada permitido permitida|rechazado rechazada prohibido prohibida
activado activada activo|desactivado desactivada inactivo
abierto abierta|cerrado cerrada
empieza comienza|termina acaba
añadido añadida|eliminado eliminada
incluido incluida|excluido excluida
público pública|privado privada
"""


def _pairs(text: str) -> Pairs:
    sides = [line.split("|") for line in text.split("\n") if line]
    return tuple(
        (frozenset(map(bare, one.split())), frozenset(map(bare, other.split()))) for one, other in sides
    )


OPPOSITES: dict[str, Pairs] = {"en": _pairs(_EN), "de": _pairs(_DE), "fr": _pairs(_FR), "es": _pairs(_ES)}
"""Words of one side and words of the other by language, without accents."""
