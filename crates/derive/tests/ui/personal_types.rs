use factum::{Event, Personal, PersonalFields};

#[derive(Event)]
enum NotPersonal {
    Happened {
        id: String,
        #[personal(subject = "id")]
        name: String,
    },
}

#[derive(Event)]
enum NoName {
    Happened {
        id: Option<String>,
        #[personal(subject = "id")]
        name: Personal<String>,
    },
}

#[derive(PersonalFields)]
struct Options {
    #[personal(fallback = 7)]
    fallback: Personal<String>,
    #[personal(partial = "last4")]
    last4: Personal<u64>,
    #[personal(partial = half)]
    function: Personal<String>,
}

fn half(number: &u64) -> u64 {
    number / 2
}

fn main() {
    println!("{}", Personal::new(1));
}
