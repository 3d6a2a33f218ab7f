import { useLocalStorage } from "@mantine/hooks";

const SMALLEST = 10;
const USUAL = 13;
const LARGEST = 22;

/** The size of terminals' text in pixels, the same in all of them, and what changes it. */
export function useFontSize(): [size: number, grow: (by: number) => void] {
  const [size, setSize] = useLocalStorage({
    key: "devgate-terminal-font-size",
    defaultValue: USUAL,
    getInitialValueInEffect: false,
  });
  const grow = (by: number) => setSize((before) => Math.min(LARGEST, Math.max(SMALLEST, before + by)));
  return [size, grow];
}
