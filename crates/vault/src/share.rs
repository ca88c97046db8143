//! How is work that only needs a processor shared among threads?

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::thread::{Builder, ScopedJoinHandle, available_parallelism, scope};

/// Most threads that one piece of work is shared among, its own included: others have work too.
const MAX_THREADS: usize = 4;

/// Asked for once: the system looks into files for the answer.
static THREADS: LazyLock<usize> =
    LazyLock::new(|| available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS));

/// What `work` makes of each part of `items`, in order. There are as many parts as threads, and none is smaller than
/// `smallest` by more than rounding; the first is done by this thread. No thread is left when this returns.
pub(crate) fn among_threads<T: Sync, R: Send>(
    items: &[T],
    smallest: usize,
    work: impl Fn(&[T]) -> R + Sync,
) -> Vec<R> {
    among(*THREADS, items, smallest, work)
}

fn among<T: Sync, R: Send>(
    threads: usize,
    items: &[T],
    smallest: usize,
    work: impl Fn(&[T]) -> R + Sync,
) -> Vec<R> {
    let parts = (items.len() / smallest.max(1)).clamp(1, threads.max(1));
    let mut parts = items.chunks(items.len().div_ceil(parts).max(1));
    let first = parts.next().unwrap_or_default();
    let work = &work;
    scope(|scope| {
        let mut others = Vec::new();
        for part in parts {
            let thread = Builder::new().name("factum-opener".to_owned());
            others.push((part, thread.spawn_scoped(scope, move || work(part))));
        }
        let mut done = vec![work(first)];
        for (part, thread) in others {
            done.push(match thread.map(ScopedJoinHandle::join) {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => resume_unwind(panic),
                // The system starts no more threads: it takes longer without.
                Err(_) => work(part),
            });
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_worked_on_once_and_comes_out_in_order() {
        for length in [0, 1, 7, 8, 9, 64, 1_001] {
            let items: Vec<usize> = (0..length).collect();
            for (threads, smallest) in [(1, 1), (3, 2), (4, 8), (7, 1), (2, 0), (0, 5)] {
                let parts = among(threads, &items, smallest, <[usize]>::to_vec);
                assert!(parts.len() <= threads.max(1));
                assert_eq!(parts.concat(), items, "{length} {threads} {smallest}");
            }
        }
    }

    #[test]
    fn little_work_stays_on_its_thread() {
        let here = std::thread::current().id();
        let threads = |length| among(4, &vec![0; length], 8, |_| std::thread::current().id());
        assert_eq!(threads(15), [here]);
        assert_eq!(threads(16).len(), 2);
        assert_eq!(threads(16)[0], here);
        assert_ne!(threads(16)[1], here);
    }

    #[test]
    #[should_panic(expected = "on purpose")]
    fn a_panic_of_a_part_is_the_callers() {
        among(2, &[1, 2], 1, |part| assert_ne!(part, [2], "on purpose"));
    }
}
