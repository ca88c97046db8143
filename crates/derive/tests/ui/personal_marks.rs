struct Personal<T>(T);

#[derive(factum_derive::Event)]
enum CustomerEvent {
    Unmarked {
        id: String,
        name: Personal<String>,
        names: Vec<Option<Personal<String>>>,
    },
    NoSubject {
        id: String,
        #[personal]
        name: Personal<String>,
    },
    NoSuchSubject {
        id: String,
        country: String,
        #[personal(subject = "customer_id")]
        name: Personal<String>,
    },
    PersonalSubject {
        #[personal(own_subject)]
        mail: Personal<String>,
        #[personal(subject = "mail")]
        name: Personal<String>,
    },
    Tagged {
        id: String,
        #[event(tag = "name")]
        #[personal(subject = "id")]
        name: Personal<String>,
    },
    Options {
        id: String,
        #[personal(subject = "id", purpose = "Billing!")]
        purpose: Personal<String>,
        #[personal(subject = "id", partial = "first4")]
        partial: Personal<String>,
    },
    Serde {
        id: String,
        #[personal(subject = "id")]
        #[serde(with = "mine", default)]
        with: Personal<String>,
        #[personal(subject = "id")]
        #[serde(skip)]
        skip: Personal<String>,
    },
}

#[derive(factum_derive::Event)]
enum Keys {
    Unknown {
        id: String,
        #[personal(subjects = "id")]
        a: Personal<String>,
    },
    TwoSubjects {
        id: String,
        #[personal(subject = "id", own_subject)]
        a: Personal<String>,
    },
    TwoMarks {
        id: String,
        #[personal(subject = "id")]
        #[personal(external)]
        a: Personal<String>,
    },
    Twice {
        id: String,
        #[personal(subject = "id", fallback = 1, fallback = 2)]
        twice: Personal<u8>,
    },
    #[personal(subject = "id", external)]
    OnVariant {
        id: String,
    },
    Held(#[personal] Personal<String>),
}

#[derive(factum_derive::Event)]
#[personal(subject = "customer_id")]
enum Defaults {
    NotHere {
        id: String,
        #[personal]
        name: Personal<String>,
    },
    #[personal(subject = "client_id")]
    NotHereEither {
        id: String,
    },
    PersonalDefault {
        #[personal(own_subject)]
        customer_id: Personal<String>,
    },
    #[personal(subject = "customer_id")]
    Held(Customer),
    Bare(Option<Personal<String>>),
}

fn main() {}
