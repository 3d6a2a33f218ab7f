/** The palette: goes to anything, does anything, by keyboard. */
import { useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { Spotlight, type SpotlightActionData, type SpotlightActionGroupData } from "@mantine/spotlight";
import { useQuery } from "@tanstack/react-query";
import {
  IconApi,
  IconBrandVscode,
  IconDeviceDesktop,
  IconKey,
  IconMoon,
  IconPlayerPlay,
  IconPlayerStop,
  IconPlus,
  IconSearch,
  IconServer2,
  IconStack2,
  IconTerminal2,
  IconUser,
  IconUsers,
} from "@tabler/icons-react";
import { useNavigate } from "react-router";

import { useAction } from "../api/lifecycle";
import { workspaces } from "../api/queries";
import type { Me, Workspace } from "../api/types";
import { CREATE, pathOf } from "../workspaces/path";

const ICON = 18;

export function Palette({ who }: { who: Me }) {
  const navigate = useNavigate();
  const list = useQuery(workspaces);
  const action = useAction();
  const { setColorScheme } = useMantineColorScheme();
  const dark = useComputedColorScheme("light") === "dark";
  const go = (to: string) => () => void navigate(to);

  const ofWorkspace = (one: Workspace): SpotlightActionData[] => {
    const name = one.owner === who.name ? one.name : `${one.name} of ${one.owner}`;
    const all: SpotlightActionData[] = [
      {
        id: `open-${one.id}`,
        label: name,
        description: one.state,
        leftSection: <IconStack2 size={ICON} />,
        onClick: go(pathOf(one)),
      },
    ];
    if (one.may_enter) {
      all.push(
        {
          id: `editor-${one.id}`,
          label: `${name}: open VS Code`,
          leftSection: <IconBrandVscode size={ICON} />,
          onClick: () => void window.open(one.urls.editor, "_blank", "noopener"),
        },
        {
          id: `terminal-${one.id}`,
          label: `${name}: terminal`,
          leftSection: <IconTerminal2 size={ICON} />,
          onClick: go(`${pathOf(one)}/terminals`),
        },
      );
    }
    const runs = one.state === "running" || one.state === "starting";
    all.push({
      id: `power-${one.id}`,
      label: `${name}: ${runs ? "stop" : "start"}`,
      leftSection: runs ? <IconPlayerStop size={ICON} /> : <IconPlayerPlay size={ICON} />,
      onClick: () => action.mutate({ workspace: one, action: runs ? "stop" : "start" }),
    });
    return all;
  };

  const pages: SpotlightActionData[] = [
    { id: "create", label: "Create a workspace", leftSection: <IconPlus size={ICON} />, onClick: go(CREATE) },
    { id: "keys", label: "SSH keys", leftSection: <IconKey size={ICON} />, onClick: go("/account/keys") },
    {
      id: "tokens",
      label: "API tokens",
      leftSection: <IconApi size={ICON} />,
      onClick: go("/account/tokens"),
    },
    {
      id: "logins",
      label: "Logins",
      leftSection: <IconDeviceDesktop size={ICON} />,
      onClick: go("/account/logins"),
    },
    {
      id: "profile",
      label: "Profile and password",
      leftSection: <IconUser size={ICON} />,
      onClick: go("/account"),
    },
    {
      id: "scheme",
      label: dark ? "Light colours" : "Dark colours",
      leftSection: <IconMoon size={ICON} />,
      onClick: () => setColorScheme(dark ? "light" : "dark"),
    },
  ];
  if (who.role === "admin") {
    pages.push(
      { id: "users", label: "Users", leftSection: <IconUsers size={ICON} />, onClick: go("/admin/users") },
      {
        id: "server",
        label: "Server",
        leftSection: <IconServer2 size={ICON} />,
        onClick: go("/admin/server"),
      },
    );
  }
  const actions: SpotlightActionGroupData[] = [
    { group: "Workspaces", actions: (list.data ?? []).flatMap(ofWorkspace) },
    { group: "devgate", actions: pages },
  ];
  return (
    <Spotlight
      actions={actions}
      shortcut={null}
      removeScrollProps={{ removeScrollBar: false }}
      nothingFound="Nothing found"
      overlayProps={{ blur: 0, backgroundOpacity: 0.55 }}
      attributes={{ content: { "aria-label": "Search" } }}
      scrollable
      maxHeight={420}
      limit={40}
      searchProps={{
        leftSection: <IconSearch size={ICON} />,
        placeholder: "A workspace, a page, something to do",
        "aria-label": "Search",
      }}
    />
  );
}
