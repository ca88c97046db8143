#[derive(factum_derive::Event)]
enum AccountEvent {
    Deposited,
    #[event(name = "Deposited")]
    MoneyIn,
    #[event(alias = "Deposited", alias = "Old", alias = "Old")]
    Frozen,
    #[event(name = "")]
    Empty,
    #[event(name = "$metadata")]
    System,
}

fn main() {}
