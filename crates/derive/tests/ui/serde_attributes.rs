#[derive(factum_derive::Event)]
enum AccountEvent {
    #[serde(rename = "FundsDeposited")]
    Deposited,
    #[serde(alias = "Out")]
    Withdrawn,
    #[serde(skip)]
    Skipped,
    Moved {
        #[serde(flatten)]
        place: Place,
    },
    Held(#[event(tag = "place")] Place),
}

struct Place;

fn main() {}
