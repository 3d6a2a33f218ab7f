//! What clients need of us, in a table: for each requirement the tests that check it,
//! which run for workspaces of the process driver, by either reach, and in containers.

use std::collections::HashSet;
use std::env;
use std::process::Command;

use e2e::process::run;
use e2e::wait::SOON;

/// A requirement and its tests.
type Requirement = (&'static str, &'static [&'static str]);

/// How a test runs.
const WAYS: [&str; 3] = ["over_a_unix_socket", "over_tls", "in_a_container"];

/// Those most often broken by others come first.
const REQUIREMENTS: &[Requirement] = &[
    (
        "1: output is never lost around EOF and CLOSE",
        &[
            "exec::three_hundred_short_commands_lose_nothing",
            "exec::eight_commands_of_five_megabytes_in_parallel_are_exact",
            "exec::a_status_arrives_though_both_directions_have_ended_before",
        ],
    ),
    (
        "2: the exit status is right, and never 0 for a failure; a signal is told",
        &[
            "exec::every_exit_status_is_passed_on",
            "exec::every_exit_status_is_passed_on_with_a_terminal",
            "exec::a_command_killed_by_a_signal_is_no_success",
        ],
    ),
    (
        "3: direct-tcpip is dialled in the workspace, and a refusal is told as such",
        &[
            "forwards::a_local_forward_reaches_ipv4_ipv6_and_localhost",
            "forwards::a_refused_connection_is_told_as_such",
            "forwards::a_refused_connection_harms_nothing_else",
        ],
    ),
    (
        "4: a background process survives, a foreground job gets SIGHUP",
        &[
            "exec::a_background_process_outlives_its_channel_and_its_connection",
            "exec::a_signal_from_the_client_reaches_the_command",
        ],
    ),
    (
        "5: the channel closes when the command exits, whoever holds its pipes",
        &["exec::a_channel_closes_when_its_command_exits_though_a_child_holds_its_pipes"],
    ),
    (
        "6: nothing is added to a command's output",
        &["exec::nothing_is_added_to_what_a_command_prints"],
    ),
    (
        "7: a shell with its script on stdin stays open and opens further channels",
        &[
            "exec::a_script_on_stdin_runs_line_by_line_for_as_long_as_stdin_is_open",
            "vscode::a_window_edits_files_loses_its_network_and_finds_its_server_again",
        ],
    ),
    (
        "8: keys change in the middle of transfers, by either side's limit and by the clock",
        &[
            "rekeying::two_hundred_megabytes_come_down_while_keys_change",
            "rekeying::two_hundred_megabytes_go_up_while_keys_change",
            "rekeying::both_directions_at_once_survive_changing_keys",
            "rekeying::transfers_both_ways_survive_the_servers_own_limit",
            "rekeying::a_connection_grows_old_without_harm",
        ],
    ),
    (
        "9: one bad channel never drops the connection",
        &[
            "forwards::a_target_that_resets_under_load_ends_its_own_channel_only",
            "forwards::a_remote_forward_survives_a_target_that_resets",
        ],
    ),
    (
        "10: a hundred channels on a connection; a reader that stalls holds up only itself",
        &[
            "many_channels::one_connection_carries_a_hundred_channels_at_once",
            "forwards::a_reader_that_stalls_holds_up_only_itself",
            "clients::jetbrains::an_ide_starts_and_talks_over_ssh2",
            "clients::jetbrains::an_ide_starts_and_talks_over_jsch",
        ],
    ),
    (
        "11: SFTP shows the workspace's files, starts at home and ends with status 0",
        &[
            "copying::an_sftp_batch_does_everything_and_starts_at_home",
            "copying::an_sftp_session_ends_with_its_input_and_with_status_0",
        ],
    ),
    (
        "12: a forwarded agent's socket is private and lives with its channel",
        &[
            "agent_forwarding::the_socket_is_private_and_goes_with_its_channel",
            "agent_forwarding::several_programs_ask_the_agent_at_once",
        ],
    ),
    (
        "13: Unix sockets are forwarded both ways; port 0 is told; a cancelled forward is freed",
        &[
            "unix_forwards::a_local_socket_leads_to_one_in_the_workspace",
            "unix_forwards::a_socket_in_the_workspace_leads_back_to_a_local_one",
            "forwards::a_remote_forward_of_port_0_gets_a_port_and_tells_it",
            "forwards::a_cancelled_forward_frees_its_listener",
        ],
    ),
    (
        "14: a network that stalls for 40 s is survived; a dead peer is noticed",
        &[
            "faults::a_network_that_stalls_for_forty_seconds_is_survived",
            "faults::a_dead_peer_is_noticed",
        ],
    ),
    (
        "15: the handshake starts at once while a workspace wakes up",
        &["startup::a_client_is_in_at_once_and_its_channel_waits_for_the_workspace"],
    ),
    (
        "16: many parallel log-ins with one credential ask nothing again",
        &["many_channels::many_people_log_in_at_once"],
    ),
    (
        "17: commands run by the user's shell, at home, with the user's environment",
        &[
            "exec::a_command_starts_at_home_with_the_users_environment",
            "exec::a_command_line_of_sixty_kilobytes_is_taken_as_it_is",
            "shell::a_shell_starts_as_a_login_shell_with_the_terminals_size_and_type",
            "shell::a_shell_runs_what_is_typed_and_exit_ends_it_with_its_status",
        ],
    ),
    (
        "18: nothing rewrites CR or LF; modes are applied; a resize reaches the program",
        &[
            "exec::bytes_pass_unchanged_through_a_raw_terminal",
            "copying::sftp_carries_a_hundred_megabytes_there_and_back",
            "shell::the_terminals_modes_are_those_of_the_clients_terminal",
            "shell::a_resized_window_reaches_the_program",
        ],
    ),
    (
        "19: X11 is forwarded where xauth is in the workspace",
        &["x11::a_program_in_the_workspace_reaches_the_local_display"],
    ),
    (
        "20: the input may end before the output",
        &["exec::the_input_can_end_before_the_output"],
    ),
];

/// Returns the names of this binary's tests: those that run, or those that don't.
pub(crate) fn listed(ignored: bool) -> HashSet<String> {
    let mut command = Command::new(env::current_exe().expect("a test knows its own path"));
    command.args(["--list", "--format", "terse"]);
    if ignored {
        command.arg("--ignored");
    }
    let listed = run(&mut command, b"", SOON).ok().out();
    let names = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"));
    names.map(str::to_owned).collect()
}

#[test]
fn every_requirement_has_tests_that_run_for_every_driver() {
    let (all, ignored) = (listed(false), listed(true));
    for (number, (requirement, tests)) in (1..).zip(REQUIREMENTS) {
        let begins = format!("{number}: ");
        assert!(
            requirement.starts_with(&begins),
            "{requirement} isn't number {number}"
        );
        assert!(!tests.is_empty(), "nothing checks {requirement}");
        for test in *tests {
            for way in WAYS {
                let name = format!("{test}::{way}");
                assert!(
                    all.contains(&name) && !ignored.contains(&name),
                    "{name} doesn't run, which checks {requirement}"
                );
            }
        }
    }
    assert_eq!(REQUIREMENTS.len(), 20);
}
