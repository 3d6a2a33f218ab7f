/** How the dashboard looks: one accent, quiet greys, dense text. */
import {
  ActionIcon,
  Alert,
  Button,
  createTheme,
  Menu,
  Modal,
  Notification,
  PasswordInput,
  Select,
  TextInput,
  Tooltip,
  type CSSVariablesResolver,
  type MantineColorsTuple,
} from "@mantine/core";

const gate: MantineColorsTuple = [
  "#e8f6f8",
  "#cfebf0",
  "#a2d9e2",
  "#6fc5d3",
  "#45b1c3",
  "#26a0b4",
  "#14899d",
  "#0c7488",
  "#085f70",
  "#054755",
];

const dark: MantineColorsTuple = [
  "#dde2e6",
  "#b6bec6",
  "#99a3ad",
  "#626c76",
  "#363e46",
  "#2a3138",
  "#1d2227",
  "#121518",
  "#0e1113",
  "#090b0d",
];

export const MONOSPACE = '"JetBrains Mono Variable", ui-monospace, "SF Mono", Menlo, Consolas, monospace';

export const theme = createTheme({
  primaryColor: "gate",
  primaryShade: { light: 7, dark: 7 },
  colors: { gate, dark },
  fontFamily: '"Inter Variable", system-ui, -apple-system, "Segoe UI", sans-serif',
  fontFamilyMonospace: MONOSPACE,
  headings: {
    fontWeight: "620",
    sizes: {
      h1: { fontSize: "1.375rem", lineHeight: "1.3" },
      h2: { fontSize: "0.9375rem", lineHeight: "1.4" },
      h3: { fontSize: "0.875rem", lineHeight: "1.4" },
    },
  },
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.125rem" },
  defaultRadius: "md",
  radius: { xs: "3px", sm: "5px", md: "7px", lg: "10px", xl: "14px" },
  cursorType: "pointer",
  respectReducedMotion: true,
  components: {
    Button: Button.extend({ defaultProps: { size: "sm" } }),
    ActionIcon: ActionIcon.extend({ defaultProps: { variant: "subtle", color: "gray", size: "lg" } }),
    Notification: Notification.extend({
      defaultProps: { closeButtonProps: { "aria-label": "Dismiss" } },
      // Its own grey is too faint for small text.
      styles: { description: { color: "var(--mantine-color-dimmed)" } },
    }),
    Tooltip: Tooltip.extend({ defaultProps: { openDelay: 350, withArrow: true, fz: "xs" } }),
    Modal: Modal.extend({
      defaultProps: {
        centered: false,
        yOffset: "12vh",
        radius: "lg",
        closeButtonProps: { "aria-label": "Close" },
        // What is behind a dialog stays where it is, its scroll bar too.
        removeScrollProps: { removeScrollBar: false },
        // A dialog's head is no banner of the page.
        attributes: { header: { role: "presentation" } },
      },
    }),
    // The first item gets the focus, and the menu holds nothing but items.
    Menu: Menu.extend({ defaultProps: { withInitialFocusPlaceholder: false } }),
    Alert: Alert.extend({ defaultProps: { variant: "light", radius: "md" } }),
    TextInput: TextInput.extend({ defaultProps: { size: "sm" } }),
    PasswordInput: PasswordInput.extend({ defaultProps: { size: "sm" } }),
    Select: Select.extend({ defaultProps: { size: "sm", checkIconPosition: "right" } }),
  },
});

/** Greys with enough contrast for small text on every surface. */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-body": "#f6f7f8",
    "--mantine-color-text": "#171b1f",
    "--mantine-color-dimmed": "#56606a",
    "--mantine-color-placeholder": "#6a747e",
    "--mantine-color-anchor": "#0a6779",
    "--mantine-color-error": "#c02b2b",
    "--mantine-color-default-border": "#d5dade",
    "--mantine-color-gray-text": "#4a535c",
    "--mantine-color-gray-light-color": "#4a535c",
    "--mantine-color-red-light": "#fdeeee",
    "--mantine-color-red-light-color": "#b02525",
    "--mantine-color-red-text": "#b02525",
    "--mantine-color-yellow-light-color": "#7d5200",
    "--mantine-color-gate-light-color": "#085f70",
  },
  dark: {
    "--mantine-color-dimmed": "#99a3ad",
    "--mantine-color-placeholder": "#8b959f",
    "--mantine-color-anchor": "#6fc5d3",
    "--mantine-color-error": "#ff8f8f",
    "--mantine-color-gray-text": "#b6bec6",
    "--mantine-color-gray-light-color": "#b6bec6",
    "--mantine-color-red-light": "#2e1a1c",
    "--mantine-color-red-light-color": "#ffa3a3",
    "--mantine-color-red-text": "#ff9d9d",
    "--mantine-color-gate-light-color": "#8fd3de",
    "--mantine-color-gate-text": "#6fc5d3",
  },
});
