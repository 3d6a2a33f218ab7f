//! Passes everything on to the emulator, and notes what it won't tell later.

use alacritty_terminal::Term;
use alacritty_terminal::event::EventListener;
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::vte::ansi::cursor_icon::CursorIcon;
use alacritty_terminal::vte::ansi::{
    Attr, CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, Hyperlink, KeyboardModes,
    KeyboardModesApplyBehavior, LineClearMode, Mode, ModifyOtherKeys, NamedPrivateMode,
    PrivateMode, Rgb, ScpCharPath, ScpUpdateMode, StandardCharset, TabulationClearMode,
};

use super::emulator::Notes;

/// Most private modes that are noted; there are some dozens.
const MAX_MODES: usize = 64;

/// Distance of the usual tab stops.
const TAB: usize = 8;

/// Private modes that switch to the alternate screen as 1049 does, but for details.
const OTHER_ALTERNATE: [u16; 2] = [47, 1047];

/// Private mode that saves the cursor, and restores it.
const SAVE_CURSOR: u16 = 1048;

/// The emulator with its notes, for as long as some output is taken.
pub(super) struct Recorder<'a, T> {
    pub(super) term: &'a mut Term<T>,
    pub(super) notes: &'a mut Notes,
}

impl<T> Recorder<'_, T> {
    fn tabs(&mut self) -> &mut std::collections::BTreeSet<usize> {
        let columns = self.term.columns();
        self.notes
            .tabs
            .get_or_insert_with(|| (0..columns).step_by(TAB).collect())
    }

    fn column(&self) -> usize {
        self.term.grid().cursor.point.column.0
    }
}

/// Writes methods that only pass on.
macro_rules! pass {
    ($($name:ident($($argument:ident: $type:ty),*);)+) => {
        $(
            #[inline]
            fn $name(&mut self, $($argument: $type),*) {
                Handler::$name(self.term, $($argument),*);
            }
        )+
    };
}

impl<T: EventListener> Handler for Recorder<'_, T> {
    pass! {
        set_title(title: Option<String>);
        input(c: char);
        goto(line: i32, column: usize);
        goto_line(line: i32);
        goto_col(column: usize);
        insert_blank(count: usize);
        move_up(rows: usize);
        move_down(rows: usize);
        identify_terminal(intermediate: Option<char>);
        device_status(what: usize);
        move_forward(columns: usize);
        move_backward(columns: usize);
        move_down_and_cr(rows: usize);
        move_up_and_cr(rows: usize);
        put_tab(count: u16);
        backspace();
        carriage_return();
        linefeed();
        bell();
        substitute();
        newline();
        scroll_up(rows: usize);
        scroll_down(rows: usize);
        insert_blank_lines(count: usize);
        delete_lines(count: usize);
        erase_chars(count: usize);
        delete_chars(count: usize);
        move_backward_tabs(count: u16);
        move_forward_tabs(count: u16);
        save_cursor_position();
        restore_cursor_position();
        clear_line(mode: LineClearMode);
        clear_screen(mode: ClearMode);
        set_tabs(interval: u16);
        reverse_index();
        terminal_attribute(attribute: Attr);
        set_mode(mode: Mode);
        unset_mode(mode: Mode);
        report_mode(mode: Mode);
        report_private_mode(mode: PrivateMode);
        set_keypad_application_mode();
        unset_keypad_application_mode();
        configure_charset(index: CharsetIndex, charset: StandardCharset);
        set_color(index: usize, color: Rgb);
        dynamic_color_sequence(prefix: String, index: usize, terminator: &str);
        reset_color(index: usize);
        clipboard_store(clipboard: u8, text: &[u8]);
        clipboard_load(clipboard: u8, terminator: &str);
        decaln();
        push_title();
        pop_title();
        text_area_size_pixels();
        text_area_size_chars();
        set_hyperlink(link: Option<Hyperlink>);
        set_mouse_cursor_icon(icon: CursorIcon);
        report_keyboard_mode();
        push_keyboard_mode(mode: KeyboardModes);
        pop_keyboard_modes(count: u16);
        set_keyboard_mode(mode: KeyboardModes, behavior: KeyboardModesApplyBehavior);
        set_modify_other_keys(mode: ModifyOtherKeys);
        report_modify_other_keys();
        set_scp(path: ScpCharPath, mode: ScpUpdateMode);
    }

    fn set_cursor_style(&mut self, style: Option<CursorStyle>) {
        self.notes.cursor = style;
        self.term.set_cursor_style(style);
    }

    fn set_cursor_shape(&mut self, shape: CursorShape) {
        self.notes.cursor.get_or_insert_default().shape = shape;
        self.term.set_cursor_shape(shape);
    }

    fn set_horizontal_tabstop(&mut self) {
        let column = self.column();
        self.tabs().insert(column);
        self.term.set_horizontal_tabstop();
    }

    fn clear_tabs(&mut self, mode: TabulationClearMode) {
        let column = self.column();
        match mode {
            TabulationClearMode::Current => {
                self.tabs().remove(&column);
            }
            TabulationClearMode::All => self.tabs().clear(),
        }
        self.term.clear_tabs(mode);
    }

    fn reset_state(&mut self) {
        *self.notes = Notes::default();
        self.term.reset_state();
    }

    fn set_private_mode(&mut self, mode: PrivateMode) {
        match mode {
            PrivateMode::Unknown(mode) if OTHER_ALTERNATE.contains(&mode) => {
                self.term
                    .set_private_mode(NamedPrivateMode::SwapScreenAndSetRestoreCursor.into());
            }
            PrivateMode::Unknown(SAVE_CURSOR) => self.term.save_cursor_position(),
            PrivateMode::Unknown(mode) => {
                if self.notes.modes.len() < MAX_MODES {
                    self.notes.modes.insert(mode);
                }
            }
            PrivateMode::Named(NamedPrivateMode::ColumnMode) => {
                self.notes.region = None;
                self.term.set_private_mode(mode);
            }
            PrivateMode::Named(_) => self.term.set_private_mode(mode),
        }
    }

    fn unset_private_mode(&mut self, mode: PrivateMode) {
        match mode {
            PrivateMode::Unknown(mode) if OTHER_ALTERNATE.contains(&mode) => {
                self.term
                    .unset_private_mode(NamedPrivateMode::SwapScreenAndSetRestoreCursor.into());
            }
            PrivateMode::Unknown(SAVE_CURSOR) => self.term.restore_cursor_position(),
            PrivateMode::Unknown(mode) => {
                self.notes.modes.remove(&mode);
            }
            PrivateMode::Named(NamedPrivateMode::ColumnMode) => {
                self.notes.region = None;
                self.term.unset_private_mode(mode);
            }
            PrivateMode::Named(_) => self.term.unset_private_mode(mode),
        }
    }

    fn set_scrolling_region(&mut self, top: usize, bottom: Option<usize>) {
        let rows = self.term.screen_lines();
        let last = bottom.unwrap_or(rows);
        // The emulator ignores what isn't a region.
        if top < last {
            let (top, last) = (top.clamp(1, rows), last.min(rows));
            self.notes.region = ((top, last) != (1, rows)).then_some((top, last));
        }
        self.term.set_scrolling_region(top, bottom);
    }

    fn set_active_charset(&mut self, index: CharsetIndex) {
        self.notes.charset = index;
        self.term.set_active_charset(index);
    }
}
