/** How terminals look, and what else there is to know of them. */
import { ActionIcon, Menu } from "@mantine/core";
import { IconDots, IconMinus, IconPlus } from "@tabler/icons-react";
import type { Ref } from "react";

import { useFontSize } from "./font-size";
import classes from "./Terminals.module.css";

export function Settings({ button }: { button: Ref<HTMLButtonElement> }) {
  const [size, grow] = useFontSize();
  return (
    <Menu position="bottom-end" shadow="md" width={200} closeOnItemClick={false}>
      <Menu.Target>
        <ActionIcon ref={button} className={classes.settings} aria-label="Terminal settings">
          <IconDots size={17} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Text size: {size}</Menu.Label>
        <Menu.Item leftSection={<IconPlus size={15} />} onClick={() => grow(1)}>
          Larger
        </Menu.Item>
        <Menu.Item leftSection={<IconMinus size={15} />} onClick={() => grow(-1)}>
          Smaller
        </Menu.Item>
        <Menu.Divider />
        <Menu.Label>
          Copy: Ctrl Shift C<br />
          Leave by keyboard: Ctrl Alt Esc
        </Menu.Label>
      </Menu.Dropdown>
    </Menu>
  );
}
