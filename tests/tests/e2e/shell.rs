//! An interactive shell, in a terminal whose screen is read.

use e2e::everywhere;
use e2e::target::Target;
use e2e::tmux::Terminal;

/// Starts `ssh -tt` in a terminal and waits for a prompt of our own.
fn log_in(target: &Target) -> Terminal {
    let command = format!("{} -tt ws", target.ssh_command_line());
    let terminal = Terminal::start(target.folder(), &command, 80, 24);
    // Whatever the shell prints first, it answers to this once it reads.
    terminal.line("PS1='ready: '; clear; echo be''gin");
    terminal.wait_for_line("begin");
    terminal
}

everywhere! {
    fn a_shell_runs_what_is_typed_and_exit_ends_it_with_its_status(target: &Target) {
        let terminal = log_in(target);
        terminal.line("echo out=$((6 * 7))");
        terminal.wait_for_line("out=42");
        terminal.line("tty > /dev/null && echo is''tty; echo \"tty=$SSH_TTY\"");
        let screen = terminal.wait("the terminal's name", |screen| screen.contains("tty=/dev/pts/"));
        assert!(screen.lines().any(|line| line == "istty"), "{screen}");
        terminal.line("exit 7");
        assert_eq!(terminal.wait_for_end(), 7);
    }

    fn a_shell_starts_as_a_login_shell_with_the_terminals_size_and_type(target: &Target) {
        let terminal = log_in(target);
        terminal.line("echo \"zero=$0 size=$(stty size) term=$TERM\"");
        let screen = terminal.wait("the answer", |screen| screen.contains("size=24 80"));
        assert!(screen.contains("zero=-"), "a login shell's $0 begins with '-': {screen}");
        assert!(screen.contains("term=tmux") || screen.contains("term=screen"), "{screen}");
    }

    fn a_resized_window_reaches_the_program(target: &Target) {
        let terminal = log_in(target);
        terminal.line("trap 'echo now=$(stty size)' WINCH; echo arm''ed");
        terminal.wait_for_line("armed");
        terminal.resize(101, 31);
        // Some shells run a trap only once they have something to do.
        terminal.wait("the new size", |screen| {
            terminal.keys(&["Enter"]);
            screen.contains("now=31 101")
        });
    }

    fn the_terminals_modes_are_those_of_the_clients_terminal(target: &Target) {
        // RFC 4254 §8: special characters, and a flag of each kind.
        let modes = "intr ^X quit ^Y erase ^H -ixon -onlcr iutf8";
        let command = format!("stty {modes}; {} -tt ws 'stty -a'", target.ssh_command_line());
        let terminal = Terminal::start(target.folder(), &command, 80, 24);
        assert_eq!(terminal.wait_for_end(), 0);
        let screen = terminal.screen();
        for mode in ["intr = ^X;", "quit = ^Y;", "erase = ^H;", "-ixon", "-onlcr", " iutf8"] {
            assert!(screen.contains(mode), "{mode}: {screen}");
        }
    }

    fn control_c_interrupts_the_foreground_program_alone(target: &Target) {
        let terminal = log_in(target);
        terminal.line("sh -c 'echo slee''ping; exec sleep 600'");
        terminal.wait_for_line("sleeping");
        terminal.keys(&["C-c"]);
        terminal.wait("a new prompt", |screen| screen.trim_end().ends_with("\nready:"));
        terminal.line("echo status=$?");
        terminal.wait_for_line("status=130");
    }

    fn end_of_file_ends_the_shell(target: &Target) {
        let terminal = log_in(target);
        terminal.line("(exit 5)");
        // While a program runs, the terminal is in another mode and loses it.
        terminal.wait("a new prompt", |screen| {
            screen.trim_end().ends_with("(exit 5)\nready:")
        });
        terminal.keys(&["C-d"]);
        assert_eq!(terminal.wait_for_end(), 5);
    }

    fn a_full_screen_program_draws_and_reads_single_keys(target: &Target) {
        let terminal = log_in(target);
        terminal.line("seq 1000 | less");
        terminal.wait_for_line("1");
        terminal.keys(&["G"]);
        terminal.wait_for_line("1000");
        terminal.keys(&["q"]);
        terminal.line("echo af''ter");
        terminal.wait_for_line("after");
    }
}
