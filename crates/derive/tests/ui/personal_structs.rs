struct Personal<T>(T);

#[derive(factum_derive::PersonalFields)]
enum Contact {
    Mail {
        #[personal]
        address: Personal<String>,
    },
}

#[derive(factum_derive::PersonalFields)]
struct Email(Personal<String>);

#[derive(factum_derive::PersonalFields)]
struct Line<T> {
    #[personal]
    note: Personal<T>,
}

#[derive(factum_derive::PersonalFields)]
#[personal(subject = "id")]
struct Guest {
    name: Personal<String>,
    #[personal(subject = "name")]
    mail: Personal<String>,
}

#[derive(factum_derive::PersonalFields)]
#[serde(default)]
struct Defaulted {
    #[personal]
    name: Personal<String>,
}

fn main() {}
