//! Who lives in the city. Names and places are made up around real streets of Berlin.

/// A store: its name, latitude and longitude.
pub(super) const STORES: &[(&str, f64, f64)] = &[
    ("Trattoria Nonna", 52.5309, 13.4010),
    ("Saigon Corner", 52.5296, 13.3969),
    ("Falafel Yard", 52.4986, 13.4183),
    ("Burger Depot", 52.5008, 13.4432),
    ("Curry Palace", 52.4931, 13.3868),
    ("Sushi Mori", 52.5072, 13.3225),
    ("Green Bowl", 52.5251, 13.4105),
    ("Taqueria Sol", 52.4869, 13.4249),
    ("Pierogi Bar", 52.5411, 13.4121),
    ("Seoul Kitchen", 52.5158, 13.4540),
    ("Bakery Korn", 52.5384, 13.4247),
    ("Injera House", 52.5491, 13.3612),
];

/// First names of couriers and customers.
pub(super) const FIRST: &[&str] = &[
    "Ada", "Bela", "Cori", "Dina", "Emre", "Fien", "Goran", "Hana", "Igor", "Jale", "Kofi", "Lena",
    "Milo", "Noor", "Olu", "Pia", "Quentin", "Rosa", "Samir", "Tove",
];

/// Last names of couriers and customers.
pub(super) const LAST: &[&str] = &[
    "Adler", "Brandt", "Costa", "Demir", "Ebert", "Fischer", "Gruber", "Haas", "Ivanov", "Jensen",
    "Keller", "Lang", "Moser", "Novak", "Okafor", "Petrov", "Quast", "Richter", "Sommer", "Tanaka",
];

/// Streets to deliver to.
pub(super) const STREETS: &[&str] = &[
    "Torstrasse",
    "Bergmannstrasse",
    "Kantstrasse",
    "Sonnenallee",
    "Warschauer Strasse",
    "Schoenhauser Allee",
    "Turmstrasse",
    "Karl-Marx-Strasse",
];

/// What is ordered.
pub(super) const DISHES: &[&str] = &[
    "Margherita",
    "Pho bo",
    "Falafel plate",
    "Cheeseburger",
    "Paneer masala",
    "Salmon maki",
    "Green bowl",
    "Tacos al pastor",
    "Pierogi",
    "Bibimbap",
    "Rye bread",
    "Doro wat",
    "Lemonade",
    "Mango lassi",
];

/// Vehicles of couriers: type and colour.
pub(super) const VEHICLES: &[(&str, &str)] = &[
    ("bicycle", "blue"),
    ("scooter", "red"),
    ("bicycle", "yellow"),
    ("car", "white"),
    ("scooter", "green"),
];
