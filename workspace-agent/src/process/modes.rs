//! Encoded terminal modes (RFC 4254 §8).

use rustix::termios::{
    ControlModes, InputModes, LocalModes, OutputModes, SpecialCodeIndex, Termios,
};

/// Applies a client's modes to a terminal's settings. Opcodes that Linux has no mode
/// for are ignored: VDSUSP, VFLUSH and VSTATUS. Linux's pseudo-terminals stay at eight
/// bits without parity, whatever is asked of them.
pub(super) fn apply(modes: &[(u8, u32)], termios: &mut Termios) {
    for &(opcode, value) in modes {
        if let Some(index) = special_code(opcode) {
            // 255 disables a character (RFC 4254 §8); on Linux 0 does.
            let code = u8::try_from(value).unwrap_or(u8::MAX);
            termios.special_codes[index] = if code == u8::MAX { 0 } else { code };
        } else if let Some(mode) = input(opcode) {
            termios.input_modes.set(mode, value != 0);
        } else if let Some(mode) = local(opcode) {
            termios.local_modes.set(mode, value != 0);
        } else if let Some(mode) = output(opcode) {
            termios.output_modes.set(mode, value != 0);
        } else {
            control(opcode, value, termios);
        }
    }
}

fn special_code(opcode: u8) -> Option<SpecialCodeIndex> {
    Some(match opcode {
        1 => SpecialCodeIndex::VINTR,
        2 => SpecialCodeIndex::VQUIT,
        3 => SpecialCodeIndex::VERASE,
        4 => SpecialCodeIndex::VKILL,
        5 => SpecialCodeIndex::VEOF,
        6 => SpecialCodeIndex::VEOL,
        7 => SpecialCodeIndex::VEOL2,
        8 => SpecialCodeIndex::VSTART,
        9 => SpecialCodeIndex::VSTOP,
        10 => SpecialCodeIndex::VSUSP,
        12 => SpecialCodeIndex::VREPRINT,
        13 => SpecialCodeIndex::VWERASE,
        14 => SpecialCodeIndex::VLNEXT,
        16 => SpecialCodeIndex::VSWTC,
        18 => SpecialCodeIndex::VDISCARD,
        _ => return None,
    })
}

fn input(opcode: u8) -> Option<InputModes> {
    Some(match opcode {
        30 => InputModes::IGNPAR,
        31 => InputModes::PARMRK,
        32 => InputModes::INPCK,
        33 => InputModes::ISTRIP,
        34 => InputModes::INLCR,
        35 => InputModes::IGNCR,
        36 => InputModes::ICRNL,
        37 => InputModes::IUCLC,
        38 => InputModes::IXON,
        39 => InputModes::IXANY,
        40 => InputModes::IXOFF,
        41 => InputModes::IMAXBEL,
        42 => InputModes::IUTF8, // RFC 8160
        _ => return None,
    })
}

fn local(opcode: u8) -> Option<LocalModes> {
    Some(match opcode {
        50 => LocalModes::ISIG,
        51 => LocalModes::ICANON,
        52 => LocalModes::XCASE,
        53 => LocalModes::ECHO,
        54 => LocalModes::ECHOE,
        55 => LocalModes::ECHOK,
        56 => LocalModes::ECHONL,
        57 => LocalModes::NOFLSH,
        58 => LocalModes::TOSTOP,
        59 => LocalModes::IEXTEN,
        60 => LocalModes::ECHOCTL,
        61 => LocalModes::ECHOKE,
        62 => LocalModes::PENDIN,
        _ => return None,
    })
}

fn output(opcode: u8) -> Option<OutputModes> {
    Some(match opcode {
        70 => OutputModes::OPOST,
        71 => OutputModes::OLCUC,
        72 => OutputModes::ONLCR,
        73 => OutputModes::OCRNL,
        74 => OutputModes::ONOCR,
        75 => OutputModes::ONLRET,
        _ => return None,
    })
}

fn control(opcode: u8, value: u32, termios: &mut Termios) {
    let size = |termios: &mut Termios, size| {
        if value != 0 {
            termios.control_modes.remove(ControlModes::CSIZE);
            termios.control_modes.insert(size);
        }
    };
    match opcode {
        90 => size(termios, ControlModes::CS7),
        91 => size(termios, ControlModes::CS8),
        92 => termios.control_modes.set(ControlModes::PARENB, value != 0),
        93 => termios.control_modes.set(ControlModes::PARODD, value != 0),
        // A speed that the system can't represent leaves the default; so does 0, which
        // would mean to hang up (termios(3)).
        128 if value != 0 => drop(termios.set_input_speed(value)),
        129 if value != 0 => drop(termios.set_output_speed(value)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, openpt};
    use rustix::termios::tcgetattr;

    #[test]
    fn every_opcode_of_the_rfc_sets_its_mode_and_clears_it() {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        let mut termios = tcgetattr(&terminal).unwrap();
        for opcode in 0..=255 {
            if let Some(index) = special_code(opcode) {
                apply(&[(opcode, 5)], &mut termios);
                assert_eq!(termios.special_codes[index], 5);
                apply(&[(opcode, 255)], &mut termios);
                assert_eq!(termios.special_codes[index], 0);
            } else if let Some(mode) = input(opcode) {
                apply(&[(opcode, 1)], &mut termios);
                assert!(termios.input_modes.contains(mode));
                apply(&[(opcode, 0)], &mut termios);
                assert!(!termios.input_modes.contains(mode));
            } else if let Some(mode) = local(opcode) {
                apply(&[(opcode, 1)], &mut termios);
                assert!(termios.local_modes.contains(mode));
                apply(&[(opcode, 0)], &mut termios);
                assert!(!termios.local_modes.contains(mode));
            } else if let Some(mode) = output(opcode) {
                apply(&[(opcode, 1)], &mut termios);
                assert!(termios.output_modes.contains(mode));
                apply(&[(opcode, 0)], &mut termios);
                assert!(!termios.output_modes.contains(mode));
            }
        }
        apply(&[(90, 1), (91, 0), (92, 1), (93, 1)], &mut termios);
        let size = termios.control_modes & ControlModes::CSIZE;
        assert_eq!(size, ControlModes::CS7);
        let parity = ControlModes::PARENB | ControlModes::PARODD;
        assert!(termios.control_modes.contains(parity));
        apply(&[(128, 19200), (129, 115_200)], &mut termios);
        assert_eq!(termios.input_speed(), 19200);
        assert_eq!(termios.output_speed(), 115_200);
    }
}
