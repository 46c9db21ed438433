"""Sentences around made-up entities, by language and by what goes into them."""

from collections.abc import Mapping, Sequence

CARRIERS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "nl": {
        "number": (
            "De auto kostte {} euro.",
            "Er waren {} mensen in de zaal.",
            "Wij hebben {} liter water nodig.",
            "Het dorp ligt op {} meter hoogte.",
        ),
        "amount": (
            "De fles kostte {} euro.",
            "Wij hebben {} liter water nodig.",
        ),
        "thing": (
            "Kun je {} even bekijken?",
            "Ik begrijp niet wat {} betekent.",
            "Gisteren heeft hij {} opgeschreven.",
            "Voor meer informatie: {}.",
        ),
        "span": (
            "Dit is {}heel belangrijk{} voor ons.",
            "Ik wil {}morgen{} met je praten.",
            "Lees {}dit boek{} voordat je gaat slapen.",
        ),
        "name": (
            "{} woont in een klein huis.",
            "Ik heb {} gisteren gezien.",
            "Ken je {} al lang?",
            "Mijn buurman heet {}.",
        ),
    },
    "de": {
        "number": (
            "Das Auto hat {} Euro gekostet.",
            "Es waren {} Menschen im Saal.",
            "Wir brauchen {} Liter Wasser.",
            "Das Dorf liegt auf {} Meter Höhe.",
        ),
        "amount": (
            "Die Flasche hat {} Euro gekostet.",
            "Wir brauchen {} Liter Wasser.",
        ),
        "thing": (
            "Kannst du dir {} ansehen?",
            "Ich verstehe nicht, was {} bedeutet.",
            "Gestern hat er {} aufgeschrieben.",
            "Weitere Informationen: {}.",
        ),
        "span": (
            "Das ist {}sehr wichtig{} für uns.",
            "Ich will {}morgen{} mit dir sprechen.",
            "Lies {}dieses Buch{}, bevor du schlafen gehst.",
        ),
        "name": (
            "{} wohnt in einem kleinen Haus.",
            "Ich habe {} gestern gesehen.",
            "Kennst du {} schon lange?",
            "Mein Nachbar heißt {}.",
        ),
    },
    "en": {
        "number": (
            "The car cost {} euros.",
            "There were {} people in the hall.",
            "We need {} litres of water.",
            "The village is {} metres above the sea.",
        ),
        "amount": (
            "The bottle cost {} euros.",
            "We need {} litres of water.",
        ),
        "thing": (
            "Can you have a look at {}?",
            "I don't understand what {} means.",
            "Yesterday he wrote down {}.",
            "For more information: {}.",
        ),
        "span": (
            "This is {}very important{} to us.",
            "I want to talk to you {}tomorrow{}.",
            "Read {}this book{} before you go to sleep.",
        ),
        "name": (
            "{} lives in a small house.",
            "I saw {} yesterday.",
            "Have you known {} for long?",
            "My neighbour is called {}.",
        ),
    },
    "fr": {
        "number": (
            "La voiture a coûté {} euros.",
            "Il y avait {} personnes dans la salle.",
            "Nous avons besoin de {} litres d'eau.",
            "Le village est à {} mètres d'altitude.",
        ),
        "amount": (
            "La bouteille a coûté {} euros.",
            "Nous avons besoin de {} litres d'eau.",
        ),
        "thing": (
            "Peux-tu regarder {} ?",
            "Je ne comprends pas ce que {} veut dire.",
            "Hier, il a noté {}.",
            "Pour plus d'informations : {}.",
        ),
        "span": (
            "C'est {}très important{} pour nous.",
            "Je veux te parler {}demain{}.",
            "Lis {}ce livre{} avant d'aller dormir.",
        ),
        "name": (
            "{} habite une petite maison.",
            "J'ai vu {} hier.",
            "Connais-tu {} depuis longtemps ?",
            "Mon voisin s'appelle {}.",
        ),
    },
}
