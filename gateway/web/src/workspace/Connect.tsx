/** The ways into a workspace. */
import { Anchor, Button, Collapse, Menu, Skeleton, Text, TextInput, UnstyledButton } from "@mantine/core";
import { useDisclosure, useLocalStorage } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import {
  IconAppWindow,
  IconBrandVscode,
  IconChevronDown,
  IconChevronRight,
  IconDeviceDesktop,
  IconKey,
  IconTerminal2,
} from "@tabler/icons-react";
import type { ReactNode } from "react";
import { Link } from "react-router";

import { connection, keys } from "../api/queries";
import type { Connection } from "../api/types";
import { CopyLine } from "../parts/Copy";
import { Panel } from "../parts/Panel";
import { pathOf } from "../workspaces/path";
import classes from "./Connect.module.css";
import { useWorkspace } from "./context";
import { EditorState } from "./EditorState";
import { JetBrainsMark, ZedMark } from "./marks";
import { checkedFolder, type Destination, loginName, type Program, programs } from "./links";

export function Connect() {
  const { workspace } = useWorkspace();
  return (
    <Panel title="Connect">
      <div className={classes.ways}>
        <Way icon={<IconBrandVscode size={20} />} title="VS Code in the browser" note={<EditorState />}>
          <Button component="a" href={workspace.urls.editor} target="_blank" rel="noopener" variant="light">
            Open
          </Button>
        </Way>
        <Way
          icon={<IconTerminal2 size={20} />}
          title="Terminal in the browser"
          note="Goes on when you close the tab"
        >
          <Button component={Link} to={`${pathOf(workspace)}/terminals`} variant="default">
            Open
          </Button>
        </Way>
      </div>
      <h3 className={classes.heading}>From your computer</h3>
      <FromYourComputer />
    </Panel>
  );
}

function FromYourComputer() {
  const { workspace } = useWorkspace();
  const known = useQuery(keys);
  const to = useQuery(connection);
  // All of it at once, so that nothing moves under a finger.
  if (known.isPending || to.isPending) return <Skeleton className={classes.waiting} />;
  return (
    <>
      {known.data?.length === 0 && (
        <Link to="/account/keys" className={classes.needsKey}>
          <IconKey size={16} aria-hidden />
          <span>Add your SSH key first: these use it to sign in</span>
          <IconChevronRight size={16} aria-hidden />
        </Link>
      )}
      <CopyLine text={workspace.ssh} label="Copy the ssh line" />
      {to.data && <Programs to={to.data} />}
    </>
  );
}

function Programs({ to }: { to: Connection }) {
  const { workspace, who } = useWorkspace();
  const [folder, setFolder] = useLocalStorage({ key: `devgate-folder-${workspace.id}`, defaultValue: "" });
  const checked = checkedFolder(folder, workspace.home);
  const destination: Destination = {
    user: loginName(workspace, who.name),
    host: to.ssh_host,
    port: to.ssh_port,
    folder: checked ?? workspace.home,
  };
  return (
    <>
      <div className={classes.programs}>
        <OpenIn to={destination} />
      </div>
      <TextInput
        mt="sm"
        size="xs"
        label="Folder that they open"
        placeholder={workspace.home}
        value={folder}
        onChange={(event) => setFolder(event.currentTarget.value)}
        error={checked === null ? "Begin with a slash: the path inside the workspace." : null}
        autoComplete="off"
        spellCheck={false}
      />
      <Text size="sm" c="dimmed" mt="sm">
        The list of your workspaces in VS Code, VSCodium, Cursor or Windsurf:{" "}
        <Anchor href="/extension/devgate.vsix" download underline="always" inherit>
          the extension
        </Anchor>
        , to install from VSIX.
      </Text>
      <HostKeys list={to.host_keys} />
    </>
  );
}

const ICONS: Partial<Record<Program["id"], ReactNode>> = {
  vscode: <IconBrandVscode size={18} />,
  jetbrains: <JetBrainsMark />,
  toolbox: <JetBrainsMark />,
  zed: <ZedMark />,
};

/** A menu of people's own programs. */
function OpenIn({ to }: { to: Destination }) {
  return (
    <Menu position="bottom-start" width="target" shadow="md">
      <Menu.Target>
        <Button
          variant="default"
          leftSection={<IconDeviceDesktop size={18} />}
          rightSection={<IconChevronDown size={16} />}
        >
          Open in
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {programs(to).map(({ id, name, href }) => (
          <Menu.Item
            key={id}
            component="a"
            href={href}
            leftSection={ICONS[id] ?? <IconAppWindow size={18} />}
          >
            {name}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function Way({
  icon,
  title,
  note,
  children,
}: {
  icon: ReactNode;
  title: string;
  note: ReactNode;
  children: ReactNode;
}) {
  return (
    <div className={classes.way}>
      <span className={classes.icon} aria-hidden>
        {icon}
      </span>
      <div className={classes.text}>
        <Text size="md" fw={550}>
          {title}
        </Text>
        <Text size="sm" c="dimmed" component="div">
          {note}
        </Text>
      </div>
      {children}
    </div>
  );
}

/** What ssh asks about at the first connection. */
function HostKeys({ list }: { list: Connection["host_keys"] }) {
  const [opened, { toggle }] = useDisclosure();
  return (
    <div className={classes.hostKeys}>
      <UnstyledButton className={classes.disclosure} onClick={toggle} aria-expanded={opened}>
        <IconChevronRight size={14} data-opened={opened} aria-hidden />
        The first time, ssh shows a fingerprint: compare it
      </UnstyledButton>
      <Collapse expanded={opened}>
        <dl>
          {list.map((key) => (
            <div key={key.fingerprint}>
              <dt>{key.algorithm}</dt>
              <dd>{key.fingerprint}</dd>
            </div>
          ))}
        </dl>
        <Anchor component={Link} to="/account/keys" size="sm">
          Your SSH keys
        </Anchor>
      </Collapse>
    </div>
  );
}
