#[derive(factum_derive::Event)]
enum AccountEvent {
    #[event(name = "A", name = "B")]
    Deposited,
    #[event(version = 2, version = 2)]
    Frozen,
}

fn main() {}
