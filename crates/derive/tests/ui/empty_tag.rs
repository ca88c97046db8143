#[derive(factum_derive::Event)]
enum AccountEvent {
    Withdrawn {
        #[event(tag = "")]
        branch: String,
    },
}

fn main() {}
