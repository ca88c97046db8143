//! Is whoever waits for a commit woken by it, in whatever process it is made?

use std::sync::mpsc;
use std::time::Duration;

use factum_core::read_model::{Fault, Woken};
use factum_core::{EventId, Position};

use super::case::{ACCOUNTS, Models, V1, add_until, done, name};

/// Far longer than any commit takes.
const LONG: Duration = Duration::from_secs(60);

pub fn a_commit_through_another_handle_wakes(models: &Models) {
    const COMMITS: u64 = 5;
    models.create("balances", ACCOUNTS);
    let other = models.again();
    let (ready, is_ready) = mpsc::channel();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            let mut watch = done(other.watch(&name("balances"), V1));
            let mut seen = 0;
            while seen < COMMITS {
                ready.send(seen).expect("the writer listens");
                assert_eq!(done(watch.wait(LONG)), Woken::Committed);
                seen = done(other.progress(&name("balances"), V1))[0].events;
            }
        });
        let mut writer = models.writer("balances", V1);
        let mut position = 0;
        while position < COMMITS {
            // Nobody is woken by what was seen before.
            let seen = is_ready.recv().expect("the other one waits");
            if seen == position {
                position += 1;
                done(add_until(&mut *writer, "a", 1, position));
            }
        }
        drop(is_ready);
        waiting.join().expect("it sees all commits");
    });
}

pub fn without_a_commit_the_time_runs_out(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    let mut watch = done(models.models.watch(&name("balances"), V1));
    assert_eq!(done(watch.wait(Duration::ZERO)), Woken::TimedOut);
    assert_eq!(done(watch.wait(Duration::from_millis(20))), Woken::TimedOut);
    done(writer.begin());
    done(writer.rollback());
    assert_eq!(done(watch.wait(Duration::from_millis(20))), Woken::TimedOut);
}

/// Between looking at the progress and waiting there may be a commit: the wait must not sleep over it.
pub fn a_commit_before_the_wait_is_not_missed(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    let mut watch = done(models.again().watch(&name("balances"), V1));
    for position in 1..=3 {
        done(add_until(&mut *writer, "a", 1, position));
        assert_eq!(done(watch.wait(LONG)), Woken::Committed);
    }
}

/// Whoever waits for a projection that stands still must learn that it does.
pub fn a_fault_wakes_too(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    let mut watch = done(models.again().watch(&name("balances"), V1));
    let fault = Fault {
        position: Position(0),
        event: EventId::generate(),
        stream: "account-1".to_owned(),
        event_type: "FundsDeposited".to_owned(),
        attempts: Vec::new(),
    };
    done(writer.set_fault(Some(&fault)));
    assert_eq!(done(watch.wait(LONG)), Woken::Committed);
}
