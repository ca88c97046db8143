//! Does what a projection stands still at, and what it is to pass over, come back as it was?

use factum_core::read_model::{Attempt, Fault, NewVersion, Progress, Skip};
use factum_core::{EventId, Position, Timestamp};

use super::case::{ACCOUNTS, Models, V1, add_until, done, name, new_version, progress};

fn fault(position: u64, attempts: i64) -> Fault {
    let attempts = (0..attempts).map(|n| Attempt {
        at: Timestamp(17_672_256_000_000_000 + n),
        error: format!(
            "attempt {n}: the account 'ü' is unknown\nbecause: \"quoted\" and ' and \\ and \u{1f600}"
        ),
    });
    Fault {
        position: Position(position),
        event: EventId::generate(),
        stream: "account-7 'x'".to_owned(),
        event_type: "FundsDeposited".to_owned(),
        attempts: attempts.collect(),
    }
}

fn skip(position: u64, reason: &str) -> Skip {
    Skip {
        position: Position(position),
        actor: "ada".to_owned(),
        reason: reason.to_owned(),
        at: Timestamp(17_672_256_000_000_007),
    }
}

pub fn a_fault_comes_back_with_every_attempt(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    done(add_until(&mut *writer, "a", 1, 4));
    let mut fault = fault(4, 1);
    for n in 1..=3 {
        fault.failed_again(Attempt { at: Timestamp(n), error: format!("again {n}") });
        done(writer.set_fault(Some(&fault)));
        let wanted = Progress { fault: Some(fault.clone()), ..progress(4) };
        assert_eq!(*writer.progress(), wanted);
        assert_eq!(models.progress("balances", V1), std::slice::from_ref(&wanted));
        let (_, told) = done(models.reader(&[("balances", V1)]).query("SELECT 1", &[]));
        assert_eq!(told, [wanted]);
    }
    drop(writer);
    assert_eq!(models.writer("balances", V1).progress().fault, Some(fault));
}

pub fn a_fault_can_be_cleared(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    done(writer.set_fault(Some(&fault(0, Fault::MAX_ATTEMPTS as i64))));
    assert!(models.progress("balances", V1)[0].fault.is_some());
    done(writer.set_fault(None));
    assert_eq!((&writer.progress().fault, &models.progress("balances", V1)[0].fault), (&None, &None));
    done(writer.set_fault(None));
}

pub fn a_commit_without_a_fault_clears_it(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    done(writer.set_fault(Some(&fault(1, 2))));
    done(add_until(&mut *writer, "a", 1, 2));
    assert_eq!(models.progress("balances", V1), [progress(2)]);
    // One that is given with the commit is kept with it.
    let with_fault = Progress { fault: Some(fault(3, 2)), ..progress(3) };
    done(writer.begin());
    done(writer.commit(&with_fault));
    assert_eq!(models.progress("balances", V1), [with_fault]);
}

pub fn a_fault_is_its_partitions_alone(models: &Models) {
    done(models.models.create(&NewVersion { partitions: 2, ..new_version("balances", ACCOUNTS) }));
    let mut first = models.writer_of("balances", V1, 0);
    let mut second = models.writer_of("balances", V1, 1);
    let at_fault = fault(1, 2);
    done(first.set_fault(Some(&at_fault)));
    done(add_until(&mut *second, "a", 1, 5));
    let faults: Vec<_> = models.progress("balances", V1).into_iter().map(|progress| progress.fault).collect();
    assert_eq!(faults, [Some(at_fault), None]);
}

pub fn skips_come_back_in_order(models: &Models) {
    models.create("balances", ACCOUNTS);
    assert!(done(models.models.skips(&name("balances"), V1)).is_empty());
    let mut writer = models.writer("balances", V1);
    for position in [9, 2, 4] {
        done(writer.skip(&skip(position, "it was 'wrong'\nand known")));
    }
    let skips = done(models.again().skips(&name("balances"), V1));
    assert_eq!(skips, [2, 4, 9].map(|position| skip(position, "it was 'wrong'\nand known")));
    assert_eq!(models.progress("balances", V1)[0].applied, super::case::at(0), "nothing was applied");
}

pub fn a_skip_said_again_counts_as_said_last(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    done(writer.skip(&skip(2, "first")));
    done(writer.skip(&skip(2, "second")));
    assert_eq!(done(models.models.skips(&name("balances"), V1)), [skip(2, "second")]);
}
