//! Is everything in a script looked at? A script that passes is changed in one place at a time, in what one might think nobody reads: the
//! length of an option's value, the level of an option, a field that does not exist, padding, a message. Each change has to be noticed.

use narrows_packetdrill::{ScriptError, Settings, run_text};

const SCRIPT: &str = "
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
   +0 bind(3, ..., ...) = 0
   +0 listen(3, 5) = 0
   +0 < S 0:0(0) win 65535 <mss 1000,sackOK,nop,nop,nop,wscale 7>
   +0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 10>
  +.1 < . 1:1(0) ack 1 win 512
   +0 accept(3, ..., ...) = 4
   +0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
   +0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0
   +0 getsockopt(4, SOL_TCP, TCP_NODELAY, [1], [4]) = 0
   +0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=2}, 8) = 0
   +0 setsockopt(4, SOL_TCP, TCP_INQ, [1], 4) = 0
   +0 sendmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=0}, 0) = 1000
   +0 > P. 1:1001(1000) ack 1
   +0 %{ assert tcpi_unacked == 1, tcpi_unacked; assert tcpi_snd_mss == 1000, 'mss %d' % tcpi_snd_mss }%
  +.1 < P. 1:501(500) ack 1001 win 512
   +0 > . 1001:1001(0) ack 501
   +0 epoll_create(1) = 5
   +0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, u32=77}) = 0
   +0 epoll_wait(5, {events=EPOLLIN, u32=77}, 1, 0) = 1
   +0 epoll_wait(5, {events=0, ptr=0}, 1, 0) = 0
   +0 poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, 0) = 1
   +0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 200}], msg_flags=0,
                  msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=300}]}, 0) = 200
   +0 shutdown(4, SHUT_WR) = 0
   +0 > F. 1001:1001(0) ack 501
";

fn run(text: &str) -> Result<(), ScriptError> {
    run_text(text, None, &Settings { no_leftovers: true, ..Settings::default() })
}

/// The script with `from`, which stands in it once or more, changed into `to` where it stands first.
fn changed(from: &str, to: &str) -> String {
    assert!(SCRIPT.contains(from), "{from}");
    SCRIPT.replacen(from, to, 1)
}

#[test]
fn the_script_itself_passes() {
    run(SCRIPT).unwrap();
}

#[test]
fn a_word_that_is_not_known_is_an_error_of_the_script() {
    for (from, to) in [
        ("SO_REUSEADDR", "SO_REUSEADDRESS"),
        ("setsockopt(3, SOL_SOCKET", "setsockopt(3, SOL_SOCK"),
        ("getsockopt(4, SOL_TCP", "getsockopt(4, SOL_TC"),
        // An option belongs to one level.
        ("setsockopt(4, SOL_TCP, TCP_NODELAY", "setsockopt(4, SOL_SOCKET, TCP_NODELAY"),
        ("getsockopt(4, SOL_TCP, TCP_NODELAY", "getsockopt(4, SOL_IP, TCP_NODELAY"),
        ("{onoff=1, linger=2}", "{onoff=1, linger=2, seconds=2}"),
        ("msg_iov(1)=[{..., 1000}], msg_flags=0", "msg_iov(1)=[{..., 1000}], msg_flag=0"),
        // sendmsg does not look at them.
        ("msg_iov(1)=[{..., 1000}], msg_flags=0", "msg_iov(1)=[{..., 1000}], msg_flags=MSG_EOR"),
        ("cmsg_data=300}", "cmsg_data=300, cmsg_more=1}"),
        ("{events=EPOLLIN|EPOLLET, u32=77}", "{events=EPOLLIN|EPOLLET, u16=77}"),
        ("revents=POLLIN}", "revents=POLLIN, more=1}"),
        ("EPOLL_CTL_ADD", "EPOLL_CTL_AD"),
        ("SHUT_WR", "SHUT_W"),
        // Options fill words of four bytes, ten words at most.
        ("<mss 1000,sackOK,nop,nop,nop,wscale 7>", "<mss 1000,sackOK,nop,nop,wscale 7>"),
        ("<mss 1460,nop,nop,sackOK,nop,wscale 10>", "<mss 1460,nop,nop,sackOK,wscale 10>"),
        ("ack 1001 win 512", "ack 1001 win 512 <nop,nop,sack 1:2 3:4 5:6 7:8 9:10>"),
    ] {
        let outcome = run(&changed(from, to));
        assert!(matches!(outcome, Err(ScriptError::Syntax { .. })), "{from} -> {to}: {outcome:?}");
    }
}

#[test]
fn what_a_call_would_not_do_fails() {
    for (from, to) in [
        // Linux refuses values that are too short (EINVAL), and says how long its own are.
        ("[1], 4) = 0", "[1], 1) = 0"),
        ("linger=2}, 8)", "linger=2}, 4)"),
        ("[1], [4])", "[1], [8])"),
        ("[1], [4])", "[1], [1])"),
        // What is reported is the data that was registered, and none where nothing is reported.
        ("{events=EPOLLIN, u32=77}", "{events=EPOLLIN, u32=78}"),
        ("{events=EPOLLIN, u32=77}", "{events=EPOLLIN}"),
        ("{events=0, ptr=0}", "{events=0, ptr=1}"),
        (
            "epoll_wait(5, {events=0, ptr=0}",
            "epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=0}) = 0\n+0 epoll_wait(5, {events=0, ptr=0}",
        ),
        (
            "epoll_wait(5, {events=0, ptr=0}",
            "epoll_ctl(5, EPOLL_CTL_MOD, 3, {events=0}) = 0\n+0 epoll_wait(5, {events=0, ptr=0}",
        ),
        ("cmsg_data=300", "cmsg_data=301"),
        ("SHUT_WR", "3"),
        // Messages are about values that there are.
        ("== 1, tcpi_unacked", "== 1, tcpi_unack"),
        ("'mss %d' % tcpi_snd_mss", "'mss %d' % tcpi_mss"),
        ("assert tcpi_unacked == 1", "print(tcpi_nothing); assert tcpi_unacked == 1"),
    ] {
        let outcome = run(&changed(from, to));
        assert!(matches!(outcome, Err(ScriptError::Mismatch { .. })), "{from} -> {to}: {outcome:?}");
    }
}
