import { Kbd, Table } from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import { Dialog } from "../parts/Dialog";

const SHORTCUTS: [string, string][] = [
  ["Ctrl K", "Go to anything, do anything"],
  ["g", "The workspaces"],
  ["n", "Create a workspace"],
  ["/", "Filter or search what the page lists"],
  ["Ctrl Alt Esc", "Leave a terminal"],
  ["?", "This list"],
];

/** The list of shortcuts, on `?`. */
export function Shortcuts() {
  const [opened, { open, close }] = useDisclosure();
  useHotkeys([["shift+?", open]]);
  return (
    <Dialog opened={opened} onClose={close} title="Keyboard shortcuts">
      <Table>
        <Table.Tbody>
          {SHORTCUTS.map(([keys, meaning]) => (
            <Table.Tr key={keys}>
              <Table.Td w={130}>
                {keys.split(" ").map((key) => (
                  <Kbd key={key} mr={4}>
                    {key}
                  </Kbd>
                ))}
              </Table.Td>
              <Table.Td>{meaning}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Dialog>
  );
}
