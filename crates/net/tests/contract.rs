//! Does tokio still do what the lab's clock leans on? Each test is one promise; `src/lab/engine.rs` needs all of them.

use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, Sleep};

type Hook = Box<dyn FnMut()>;

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    static PARKED: RefCell<u32> = const { RefCell::new(0) };
}

fn runtime(hook: impl FnMut() + 'static) -> Runtime {
    HOOK.set(Some(Box::new(hook)));
    PARKED.set(0);
    let on_park = || {
        PARKED.with_borrow_mut(|parked| *parked += 1);
        HOOK.with_borrow_mut(|hook| hook.iter_mut().for_each(|hook| hook()));
    };
    Builder::new_current_thread().enable_time().start_paused(true).on_thread_park(on_park).build().unwrap()
}

fn poll_once(future: impl Future) {
    let _ = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
}

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[test]
fn the_hook_runs_inside_the_runtime_when_all_tasks_wait_and_before_time_goes_on() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&seen);
    let runtime = runtime(move || {
        log.borrow_mut().push((Instant::now(), tokio::runtime::Handle::try_current().is_ok()))
    });
    runtime.block_on(async {
        let begin = Instant::now();
        tokio::spawn(async { tokio::task::yield_now().await });
        tokio::time::sleep(milliseconds(5)).await;
        assert_eq!(
            begin.elapsed(),
            milliseconds(5),
            "the clock goes on to the next timer by itself, and not further"
        );
        assert_eq!(seen.borrow()[0], (begin, true));
    });
}

#[test]
fn the_clock_stands_still_while_tasks_run() {
    let runtime = runtime(|| ());
    runtime.block_on(async {
        let begin = Instant::now();
        let real = std::time::Instant::now();
        while real.elapsed() < milliseconds(3) {}
        assert_eq!(Instant::now(), begin);
    });
}

#[test]
fn the_first_poll_of_advance_moves_the_clock_exactly_by_what_was_asked() {
    let runtime = runtime(|| ());
    runtime.block_on(async {
        let begin = Instant::now();
        for (step, after) in [(1, 1), (999, 1_000), (999_001, 1_000_001)] {
            poll_once(tokio::time::advance(Duration::from_nanos(step)));
            assert_eq!(begin.elapsed(), Duration::from_nanos(after));
        }
    });
}

#[test]
fn after_advance_in_the_hook_the_runtime_looks_at_its_timers_and_does_not_sleep() {
    let runtime = runtime(|| poll_once(tokio::time::advance(Duration::from_micros(250))));
    runtime.block_on(async {
        let begin = Instant::now();
        tokio::time::sleep(milliseconds(2)).await;
        assert_eq!(begin.elapsed(), milliseconds(2));
        assert_eq!(PARKED.take(), 8, "one call for each step of 250 µs");
    });
}

#[test]
fn a_task_woken_in_the_hook_runs_before_time_goes_on() {
    struct Once(Rc<RefCell<Option<Waker>>>, bool);
    impl Future for Once {
        type Output = Instant;
        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Instant> {
            if std::mem::replace(&mut self.1, true) {
                return Poll::Ready(Instant::now());
            }
            *self.0.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        }
    }
    let waker = Rc::new(RefCell::new(None::<Waker>));
    let in_hook = Rc::clone(&waker);
    let runtime = runtime(move || in_hook.borrow_mut().take().into_iter().for_each(Waker::wake));
    let begin = runtime.block_on(async { Instant::now() });
    // The future of block_on, and a task of its own.
    assert_eq!(runtime.block_on(Once(Rc::clone(&waker), false)), begin);
    let local = tokio::task::LocalSet::new();
    let task = local.spawn_local(Once(Rc::clone(&waker), false));
    let timer = local.spawn_local(async { tokio::time::sleep(milliseconds(1)).await });
    runtime.block_on(local);
    assert!(timer.is_finished());
    assert_eq!(runtime.block_on(task).unwrap(), begin);
}

#[test]
fn timers_end_on_whole_milliseconds_counted_from_the_making_of_the_runtime() {
    let runtime = runtime(|| ());
    runtime.block_on(async {
        let begin = Instant::now();
        poll_once(tokio::time::advance(Duration::from_micros(4_400)));
        let mut sleep = Box::pin(tokio::time::sleep(milliseconds(2)));
        // 6.4 ms is rounded up to the tick at 7 ms. tokio alone would go there in whole milliseconds from 4.4 ms and reach 7.4 ms;
        // the lab first goes to the tick.
        poll_once(&mut sleep);
        poll_once(tokio::time::advance(Duration::from_micros(600)));
        tokio::task::yield_now().await;
        sleep.await;
        assert_eq!(begin.elapsed(), milliseconds(7));
    });
}

#[test]
fn a_timer_polled_in_the_hook_bounds_how_far_the_clock_goes() {
    let guard: RefCell<Option<Pin<Box<Sleep>>>> = RefCell::new(None);
    let stops = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&stops);
    let runtime = runtime(move || {
        let next = Instant::now() + milliseconds(3);
        let mut guard = guard.borrow_mut();
        let guard = guard.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next)));
        guard.as_mut().reset(next);
        poll_once(guard);
        log.borrow_mut().push(Instant::now());
    });
    runtime.block_on(async {
        let begin = Instant::now();
        tokio::time::sleep(milliseconds(10)).await;
        let stops: Vec<_> = stops.borrow().iter().map(|stop| *stop - begin).collect();
        assert_eq!(stops, [0, 3, 6, 9].map(milliseconds));
        assert_eq!(begin.elapsed(), milliseconds(10));
    });
}
