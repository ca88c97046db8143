#[derive(factum_derive::Event)]
enum AccountEvent {
    #[event(nam = "FundsDeposited")]
    Deposited {
        #[event(prefix = "account")]
        account: String,
    },
    Withdrawn {
        #[event(tags = "account")]
        account: String,
        #[event(tag)]
        bank: String,
        #[event(tag = "")]
        branch: String,
    },
}

#[derive(factum_derive::Event)]
#[event(version = 2)]
enum OtherEvent {
    Happened,
}

fn main() {}
