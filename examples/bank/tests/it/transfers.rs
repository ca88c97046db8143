//! Transfers that take their time, over a store: whatever happens on the way, the money is in one place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bank::{
    AccountCommand, AccountId, Bank, BankError, Currency, CustomerId, Money, TransferCommand, TransferId,
    TransferOrder, TransferRefusal, TransferSaga, TransferStatus, TransferStep,
};
use factum::{
    CommandMetadata, Delivery, Dispatched, OperatorAction, ProcessFilter, ProcessRunner, ProcessStage,
    RetryBudget, list_processes, request_process, show_process,
};
use factum_core::{Clock, EventStore, ManualClock, MemoryStore, Timestamp};
use factum_engine::{Engine, Options};
use factum_testkit::Mortal;

const DEADLINE: Duration = Duration::from_secs(3_600);

/// A hundred euros wait for an approval.
fn saga() -> TransferSaga {
    TransferSaga { deadline: DEADLINE, approval_from: 10_000 }
}

fn eur(cents: i64) -> Money {
    Money::new(cents, Currency::EUR)
}

fn id(number: &str) -> AccountId {
    AccountId::new(number)
}

struct World {
    store: Arc<dyn EventStore>,
    clock: Arc<ManualClock>,
    bank: Arc<Bank>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-01-05T12:00:00Z").unwrap()));
        let store = MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        Self::on(Arc::new(store), clock)
    }

    fn on(store: Arc<dyn EventStore>, clock: Arc<ManualClock>) -> Self {
        let bank = Arc::new(Bank::new(Arc::clone(&store)).unwrap());
        Self { store, clock, bank }
    }

    /// The same world as seen by a process that has started anew, on this store.
    fn again_on(&self, store: Arc<dyn EventStore>) -> Self {
        Self::on(store, Arc::clone(&self.clock))
    }

    /// Accounts 1 and 2, with 50.00 in each.
    async fn with_two_accounts() -> Self {
        let world = Self::new();
        for account in ["1", "2"] {
            world.open(account, Currency::EUR).await;
            world.ask(account, AccountCommand::Deposit(eur(5_000))).await;
        }
        world
    }

    async fn open(&self, account: &str, currency: Currency) {
        self.ask(account, AccountCommand::Open { holder: CustomerId::new("c-1"), currency }).await;
    }

    async fn ask(&self, account: &str, command: AccountCommand) {
        self.bank.ask(&id(account), command, &CommandMetadata::new().actor("branch")).await.unwrap();
    }

    async fn freeze(&self, account: &str) {
        self.ask(account, AccountCommand::Freeze { reason: "lost card".to_owned() }).await;
    }

    async fn request(&self, transfer: &str, from: &str, to: &str, cents: i64) {
        let order = TransferOrder { from: id(from), to: id(to), amount: eur(cents) };
        let asked = CommandMetadata::new().actor("ada").command_id(format!("request {transfer}"));
        let request = TransferCommand::Request(order);
        self.bank.ask_transfer(&TransferId::new(transfer), request, &asked).await.unwrap();
    }

    fn runner(&self) -> ProcessRunner<TransferSaga> {
        self.on_time(self.bank.transfer_runner(saga()).unwrap())
    }

    fn on_time(&self, runner: ProcessRunner<TransferSaga>) -> ProcessRunner<TransferSaga> {
        runner.with_clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    async fn run(&self) {
        self.runner().run_until_idle().await.unwrap();
    }

    async fn cents(&self, account: &str) -> i64 {
        self.bank.account(&id(account)).await.unwrap().state.balance.unwrap().minor
    }

    async fn status(&self, transfer: &str) -> (TransferStatus, Option<String>) {
        let record = self.bank.transfer_record(&TransferId::new(transfer)).await.unwrap();
        (record.status, record.failure)
    }

    async fn stage(&self, transfer: &str) -> ProcessStage {
        show_process(&*self.store, "transfer_saga", transfer).await.unwrap().unwrap().instance.stage()
    }

    async fn check(&self, transfer: &str, status: TransferStatus, failure: Option<&str>, left: [i64; 2]) {
        let (is, why) = self.status(transfer).await;
        assert_eq!((is, why.as_deref()), (status, failure), "{transfer}");
        assert_eq!([self.cents("1").await, self.cents("2").await], left, "{transfer}");
        let stage = if failure.is_some() { ProcessStage::Failed } else { ProcessStage::Completed };
        assert_eq!(self.stage(transfer).await, stage, "{transfer}");
    }
}

#[tokio::test]
async fn money_leaves_one_account_and_arrives_on_the_other() {
    let world = World::with_two_accounts().await;
    world.request("t1", "1", "2", 1_234).await;
    world.run().await;
    world.check("t1", TransferStatus::Completed, None, [3_766, 6_234]).await;
}

#[tokio::test]
async fn a_frozen_target_sends_the_money_back_to_the_cent() {
    let world = World::with_two_accounts().await;
    world.freeze("2").await;
    world.request("t1", "1", "2", 1_234).await;
    world.run().await;
    world.check("t1", TransferStatus::Failed, Some("the account is frozen"), [5_000, 5_000]).await;
    // The statement shows both: out, and back.
    assert_eq!(world.bank.account(&id("1")).await.unwrap().state.movements, 3);
}

#[tokio::test]
async fn a_target_that_is_closed_or_not_there_or_of_another_currency_sends_it_back() {
    let world = World::with_two_accounts().await;
    world.open("3", Currency::EUR).await;
    world.ask("3", AccountCommand::Close).await;
    world.open("4", Currency::USD).await;
    for (target, why) in [
        ("3", "the account is closed"),
        ("4", "the account is kept in USD, not in EUR"),
        ("99", "the account is not open"),
    ] {
        world.request(target, "1", target, 1_234).await;
        world.run().await;
        world.check(target, TransferStatus::Failed, Some(why), [5_000, 5_000]).await;
    }
}

#[tokio::test]
async fn what_the_source_does_not_have_does_not_move() {
    let world = World::with_two_accounts().await;
    world.request("t1", "1", "2", 5_001).await;
    world.run().await;
    let why = "the account has 50.00 EUR, 50.01 EUR is more";
    world.check("t1", TransferStatus::Failed, Some(why), [5_000, 5_000]).await;
    assert_eq!(world.bank.account(&id("1")).await.unwrap().state.movements, 1);
}

#[tokio::test]
async fn money_comes_back_to_a_source_that_was_frozen_meanwhile() {
    let world = World::with_two_accounts().await;
    world.ask("1", AccountCommand::Deposit(eur(10_000))).await;
    world.request("t1", "1", "2", 12_000).await;
    world.run().await;
    assert_eq!(world.cents("1").await, 3_000);
    world.freeze("1").await;
    world.clock.advance(DEADLINE);
    world.run().await;
    let why = "it did not go out within 3600s";
    world.check("t1", TransferStatus::Failed, Some(why), [15_000, 5_000]).await;
}

#[tokio::test]
async fn money_that_cannot_come_back_calls_for_a_person_and_is_not_forgotten() {
    let world = World::with_two_accounts().await;
    world.ask("1", AccountCommand::Deposit(eur(10_000))).await;
    world.request("t1", "1", "2", 15_000).await;
    world.run().await;
    world.ask("1", AccountCommand::Close).await;
    world.clock.advance(DEADLINE);
    world.run().await;
    assert_eq!(world.stage("t1").await, ProcessStage::NeedsOperator);
    let open = list_processes(&*world.store, &ProcessFilter::default()).await.unwrap();
    let trouble = open[0].trouble.as_ref().unwrap();
    assert!(trouble.cause.contains("withdraw") && trouble.cause.contains("closed"), "{}", trouble.cause);
    // Trying again is allowed; it does not help.
    let retry = OperatorAction::Retry;
    request_process(&world.store, "transfer_saga", "t1", retry, "grace", "is it open again?").await.unwrap();
    world.run().await;
    assert_eq!(world.stage("t1").await, ProcessStage::NeedsOperator);
    assert_eq!(world.status("t1").await, (TransferStatus::Begun, None));
}

#[tokio::test]
async fn a_large_transfer_is_approved_in_time_or_comes_back() {
    let world = World::with_two_accounts().await;
    world.ask("1", AccountCommand::Deposit(eur(20_000))).await;
    world.request("approved", "1", "2", 10_000).await;
    world.request("forgotten", "1", "2", 12_000).await;
    world.run().await;
    // Both are on their way: the money is out, and nowhere yet.
    assert_eq!([world.cents("1").await, world.cents("2").await], [3_000, 5_000]);
    let (approved, forgotten) = (TransferId::new("approved"), TransferId::new("forgotten"));
    let grace = CommandMetadata::new().actor("grace");
    world.clock.advance(DEADLINE - Duration::from_secs(1));
    world.bank.ask_transfer(&approved, TransferCommand::Approve, &grace).await.unwrap();
    world.run().await;
    assert_eq!([world.cents("1").await, world.cents("2").await], [3_000, 15_000]);
    world.clock.advance(Duration::from_secs(1));
    world.run().await;
    let why = "it did not go out within 3600s";
    world.check("forgotten", TransferStatus::Failed, Some(why), [15_000, 15_000]).await;
    world.check("approved", TransferStatus::Completed, None, [15_000, 15_000]).await;
    let error = world.bank.ask_transfer(&forgotten, TransferCommand::Approve, &grace).await.unwrap_err();
    let over = TransferRefusal::Over(TransferStatus::Failed);
    assert!(matches!(&error, BankError::TransferRefused(refusal) if *refusal == over), "{error:?}");
}

/// A desk that does not get through to the target's bank until `open` is set.
fn flaky(world: &World, open: &Arc<AtomicBool>) -> ProcessRunner<TransferSaga> {
    let (bank, open) = (Arc::clone(&world.bank), Arc::clone(open));
    let desk = move |delivery: Delivery<TransferStep>| {
        let (bank, open) = (Arc::clone(&bank), Arc::clone(&open));
        async move {
            let is_deposit = matches!(delivery.command, TransferStep::Deposit(_));
            if is_deposit && !open.load(Ordering::SeqCst) {
                return Dispatched::failed("the line is dead");
            }
            bank.carry_out(&delivery).await
        }
    };
    let runner = ProcessRunner::new(Arc::clone(&world.store), saga(), desk).unwrap();
    let budget = RetryBudget { total: DEADLINE * 3, ..RetryBudget::default() };
    world.on_time(runner).with_retries(budget)
}

#[tokio::test]
async fn the_deadline_does_not_give_back_what_may_have_arrived() {
    let world = World::with_two_accounts().await;
    let open = Arc::new(AtomicBool::new(false));
    let mut runner = flaky(&world, &open);
    world.request("t1", "1", "2", 1_000).await;
    runner.run_until_idle().await.unwrap();
    world.clock.advance(DEADLINE * 2);
    runner.run_until_idle().await.unwrap();
    assert_eq!([world.cents("1").await, world.cents("2").await], [4_000, 5_000]);
    open.store(true, Ordering::SeqCst);
    world.clock.advance(Duration::from_secs(60));
    runner.run_until_idle().await.unwrap();
    world.check("t1", TransferStatus::Completed, None, [4_000, 6_000]).await;
}

#[tokio::test]
async fn repeated_requests_have_one_effect() {
    let world = World::with_two_accounts().await;
    for command in ["first", "again", "first"] {
        let order = TransferOrder { from: id("1"), to: id("2"), amount: eur(700) };
        let asked = CommandMetadata::new().actor("ada").command_id(command);
        let request = TransferCommand::Request(order);
        world.bank.ask_transfer(&TransferId::new("t1"), request, &asked).await.unwrap();
        // Each run takes over from the one before.
        world.run().await;
    }
    world.check("t1", TransferStatus::Completed, None, [4_300, 5_700]).await;
}

#[tokio::test]
async fn the_same_delivery_carried_out_twice_has_one_effect() {
    let world = World::with_two_accounts().await;
    let twice = Arc::clone(&world.bank);
    let desk = move |delivery: Delivery<TransferStep>| {
        let bank = Arc::clone(&twice);
        async move {
            assert_eq!(bank.carry_out(&delivery).await, Dispatched::done());
            bank.carry_out(&delivery).await
        }
    };
    world.request("t1", "1", "2", 700).await;
    let runner = ProcessRunner::new(Arc::clone(&world.store), saga(), desk).unwrap();
    world.on_time(runner).run_until_idle().await.unwrap();
    world.check("t1", TransferStatus::Completed, None, [4_300, 5_700]).await;
}

/// Lets the process die at its n-th append, with the append lost or only its answer, and starts it anew.
async fn survives_every_crash(frozen: bool) {
    for answer_lost in [false, true] {
        let mut crashes = 0;
        for appends in 0.. {
            let world = World::with_two_accounts().await;
            if frozen {
                world.freeze("2").await;
            }
            world.request("t1", "1", "2", 1_234).await;
            let mortal = match answer_lost {
                true => Mortal::after_losing_an_answer(Arc::clone(&world.store), appends),
                false => Mortal::after(Arc::clone(&world.store), appends),
            };
            let before = world.again_on(Arc::new(mortal.clone()));
            let ended = before.runner().run_until_idle().await;
            if !mortal.has_died() {
                ended.unwrap();
                break;
            }
            crashes += 1;
            world.again_on(Arc::clone(&world.store)).run().await;
            match frozen {
                true => {
                    let why = Some("the account is frozen");
                    world.check("t1", TransferStatus::Failed, why, [5_000, 5_000]).await;
                }
                false => world.check("t1", TransferStatus::Completed, None, [3_766, 6_234]).await,
            }
            let movements = world.bank.account(&id("1")).await.unwrap().state.movements;
            assert_eq!(movements, if frozen { 3 } else { 2 }, "died after {appends} appends");
        }
        assert!(crashes >= 8, "{crashes}");
    }
}

#[tokio::test]
async fn a_crash_between_every_two_steps_changes_nothing() {
    survives_every_crash(false).await;
}

#[tokio::test]
async fn a_crash_between_every_two_steps_of_the_way_back_changes_nothing() {
    survives_every_crash(true).await;
}

/// A process that lives for a few appends only, again and again: each life goes on where the last one ended.
#[tokio::test]
async fn short_lives_come_to_the_same_end() {
    for frozen in [false, true] {
        for appends in 3..8 {
            let world = World::with_two_accounts().await;
            if frozen {
                world.freeze("2").await;
            }
            world.request("t1", "1", "2", 1_234).await;
            let mut lives = 0;
            loop {
                lives += 1;
                assert!(lives < 50, "{appends} appends a life are not enough");
                let mortal = match lives % 2 {
                    0 => Mortal::after_losing_an_answer(Arc::clone(&world.store), appends),
                    _ => Mortal::after(Arc::clone(&world.store), appends),
                };
                let ended = world.again_on(Arc::new(mortal.clone())).runner().run_until_idle().await;
                if !mortal.has_died() {
                    ended.unwrap();
                    break;
                }
            }
            assert!(lives > 1, "{appends}");
            match frozen {
                true => {
                    let why = Some("the account is frozen");
                    world.check("t1", TransferStatus::Failed, why, [5_000, 5_000]).await;
                }
                false => world.check("t1", TransferStatus::Completed, None, [3_766, 6_234]).await,
            }
        }
    }
}

/// Numbers that look random and are the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

const ACCOUNTS: u64 = 8;

/// 200 transfers between 8 accounts and one that is not there, while accounts are frozen and unfrozen and the runner is
/// replaced now and then. Some are large and are never approved.
async fn money_is_conserved(world: World) {
    for account in 0..ACCOUNTS {
        let account = account.to_string();
        world.open(&account, Currency::EUR).await;
        world.ask(&account, AccountCommand::Deposit(eur(20_000))).await;
    }
    let mut dice = Dice(0x5eed);
    let mut runner = world.runner();
    for transfer in 0..200 {
        let (from, to) = (dice.below(ACCOUNTS), dice.below(ACCOUNTS + 1));
        let to = if to == from { ACCOUNTS } else { to };
        let cents = 1 + dice.below(11_000) as i64;
        world.request(&transfer.to_string(), &from.to_string(), &to.to_string(), cents).await;
        match dice.below(16) {
            0 => world.freeze(&dice.below(ACCOUNTS).to_string()).await,
            1..4 => world.ask(&dice.below(ACCOUNTS).to_string(), AccountCommand::Unfreeze).await,
            4 => runner = world.runner(),
            5..9 => runner.run_until_idle().await.unwrap(),
            _ => {}
        }
    }
    runner.run_until_idle().await.unwrap();
    world.clock.advance(DEADLINE);
    runner.run_until_idle().await.unwrap();

    let (mut total, mut done, mut failed) = (0, 0, 0);
    for account in 0..ACCOUNTS {
        total += world.cents(&account.to_string()).await;
    }
    assert_eq!(total, ACCOUNTS as i64 * 20_000);
    for transfer in 0..200 {
        match world.status(&transfer.to_string()).await.0 {
            TransferStatus::Completed => done += 1,
            TransferStatus::Failed => failed += 1,
            other => panic!("transfer {transfer} is {other:?}"),
        }
    }
    assert!(done > 40 && failed > 40, "{done} done, {failed} failed");
    assert_eq!(list_processes(&*world.store, &ProcessFilter::default()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn no_money_is_made_or_lost_by_200_random_transfers() {
    money_is_conserved(World::new()).await;
}

#[tokio::test]
async fn no_money_is_made_or_lost_by_200_random_transfers_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), Options::default()).unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-01-05T12:00:00Z").unwrap()));
    money_is_conserved(World::on(Arc::new(engine), clock)).await;
}
