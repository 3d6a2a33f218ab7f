/** What surrounds every page after the sign-in: the header, the palette, live events. */
import { ActionIcon, Button, Group, Kbd, Menu, Tooltip, UnstyledButton } from "@mantine/core";
import { useHotkeys, useMediaQuery } from "@mantine/hooks";
import { spotlight } from "@mantine/spotlight";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import {
  IconApi,
  IconChevronDown,
  IconDeviceDesktop,
  IconKey,
  IconLogout,
  IconMenu2,
  IconSearch,
  IconServer2,
  IconStack2,
  IconTemplate,
  IconUser,
  IconUsers,
} from "@tabler/icons-react";
import { useEffect } from "react";
import { Link, NavLink, Outlet, useLocation, useNavigate } from "react-router";

import { useEvents } from "../api/events";
import { request } from "../api/client";
import { me } from "../api/queries";
import type { Me } from "../api/types";
import { Failure } from "../parts/Failure";
import { Loading } from "../parts/Loading";
import { Logo } from "../parts/Logo";
import { ColorScheme } from "./ColorScheme";
import { Palette } from "./Palette";
import { Shortcuts } from "./Shortcuts";
import classes from "./Shell.module.css";

export function Shell() {
  const who = useQuery(me);
  if (who.isPending) return <Loading />;
  if (!who.data) {
    return (
      <main className={classes.alone}>
        <Failure title="The gateway doesn't answer" error={who.error} retry={() => void who.refetch()} />
      </main>
    );
  }
  return <SignedIn who={who.data} />;
}

function SignedIn({ who }: { who: Me }) {
  const connected = useEvents();
  const { pathname } = useLocation();
  const navigate = useNavigate();
  useHotkeys([
    ["mod+K", () => spotlight.open()],
    ["g", () => void navigate("/workspaces")],
  ]);
  useEffect(() => {
    // Newer browsers return a promise, which is no clean-up.
    window.scrollTo(0, 0);
  }, [pathname]);
  return (
    <>
      <a className={classes.skip} href="#content">
        Skip to the content
      </a>
      <Header who={who} />
      {!connected && (
        <div className={classes.lost} role="status">
          The gateway can't be reached. What you see may be old; it is tried again.
        </div>
      )}
      <main id="content" className={classes.content} tabIndex={-1}>
        <Outlet />
      </main>
      <Palette who={who} />
      <Shortcuts />
    </>
  );
}

function Header({ who }: { who: Me }) {
  const narrow = useMediaQuery("(max-width: 48em)");
  return (
    <header className={classes.header}>
      <Link to="/workspaces" className={classes.brand} aria-label="devgate: to the workspaces">
        <Logo />
        <span>devgate</span>
      </Link>
      {!narrow && (
        <nav className={classes.nav} aria-label="Main">
          <NavLink to="/workspaces">Workspaces</NavLink>
          {who.role === "admin" && (
            <>
              <NavLink to="/admin/users">Users</NavLink>
              <NavLink to="/admin/templates">Templates</NavLink>
              <NavLink to="/admin/server">Server</NavLink>
            </>
          )}
        </nav>
      )}
      <Group gap={6} ml="auto" wrap="nowrap">
        {narrow ? (
          <ActionIcon aria-label="Search" onClick={() => spotlight.open()}>
            <IconSearch size={18} />
          </ActionIcon>
        ) : (
          <Tooltip label="Go to anything, do anything">
            <UnstyledButton className={classes.search} onClick={() => spotlight.open()}>
              <IconSearch size={15} aria-hidden />
              <span>Search</span>
              <Kbd size="xs">{/Mac|iPhone/.test(navigator.userAgent) ? "⌘ K" : "Ctrl K"}</Kbd>
            </UnstyledButton>
          </Tooltip>
        )}
        <ColorScheme />
        <UserMenu who={who} narrow={narrow} />
      </Group>
    </header>
  );
}

function UserMenu({ who, narrow }: { who: Me; narrow: boolean }) {
  const queries = useQueryClient();
  const signOut = async () => {
    await request("POST", "/logout").catch(() => undefined);
    queries.clear();
    // A full load: nothing of this person stays in memory.
    location.assign("/sign-in");
  };
  return (
    <Menu position="bottom-end" width={220} shadow="md">
      <Menu.Target>
        {narrow ? (
          <ActionIcon aria-label="Menu">
            <IconMenu2 size={20} />
          </ActionIcon>
        ) : (
          <Button
            variant="subtle"
            color="gray"
            px="xs"
            rightSection={<IconChevronDown size={14} aria-hidden />}
          >
            {who.name}
          </Button>
        )}
      </Menu.Target>
      <Menu.Dropdown>
        {narrow && (
          <>
            <Menu.Item component={Link} to="/workspaces" leftSection={<IconStack2 size={16} />}>
              Workspaces
            </Menu.Item>
            {who.role === "admin" && (
              <>
                <Menu.Item component={Link} to="/admin/users" leftSection={<IconUsers size={16} />}>
                  Users
                </Menu.Item>
                <Menu.Item component={Link} to="/admin/templates" leftSection={<IconTemplate size={16} />}>
                  Templates
                </Menu.Item>
                <Menu.Item component={Link} to="/admin/server" leftSection={<IconServer2 size={16} />}>
                  Server
                </Menu.Item>
              </>
            )}
            <Menu.Divider />
            <Menu.Label>{who.name}</Menu.Label>
          </>
        )}
        <Menu.Item component={Link} to="/account" leftSection={<IconUser size={16} />}>
          Profile and password
        </Menu.Item>
        <Menu.Item component={Link} to="/account/keys" leftSection={<IconKey size={16} />}>
          SSH keys
        </Menu.Item>
        <Menu.Item component={Link} to="/account/tokens" leftSection={<IconApi size={16} />}>
          API tokens
        </Menu.Item>
        <Menu.Item component={Link} to="/account/logins" leftSection={<IconDeviceDesktop size={16} />}>
          Logins
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item component="a" href="/api/v1/docs" leftSection={<IconApi size={16} />}>
          API documentation
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => void signOut()}>
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
