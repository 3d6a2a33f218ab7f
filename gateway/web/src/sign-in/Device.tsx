/** Signs a program in that waits in somebody's terminal, or lets its SSH connection in; or refuses to. */
import { Alert, Button, Code, Group, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { IconCheck, IconX } from "@tabler/icons-react";
import { useState } from "react";
import { useLocation } from "react-router";

import { explain, request } from "../api/client";
import { me, sshApprovals, tokens, workspaces } from "../api/queries";
import type { DeviceWaiting, Scope } from "../api/types";
import { Failure } from "../parts/Failure";
import { Loading } from "../parts/Loading";
import { PageTitle } from "../parts/PageTitle";
import { Panel } from "../parts/Panel";
import { Ago } from "../parts/Time";
import { type Back, checkedBack, isPage, returnOf } from "./back";
import { asCode, codeOf } from "./device-code";
import classes from "./Device.module.css";

const GRANTED: Record<Scope, string> = {
  read: "See your workspaces, logs and statistics.",
  write: "See and change your workspaces, and enter them.",
  admin: "Everything that you may do, your keys and tokens included.",
};

/** How often it is looked at how many connections wait, in milliseconds. */
const LOOK = 3000;

export default function Device() {
  const { hash } = useLocation();
  return <Page key={hash} linked={asCode(codeOf(hash))} wanted={returnOf(hash)} />;
}

/** Returns the way back to the editor that sent somebody here, where it may be taken. */
function useBack(wanted: string | null): Back | null {
  const all = useQuery({ ...workspaces, enabled: wanted !== null && isPage(wanted) });
  const mine = all.data?.filter((one) => one.may_enter) ?? [];
  return wanted === null
    ? null
    : checkedBack(
        wanted,
        mine.map((one) => one.urls.editor),
      );
}

function Page({ linked, wanted }: { linked: string | null; wanted: string | null }) {
  const [code, setCode] = useState(linked);
  const back = useBack(wanted);
  return (
    <>
      <PageTitle
        title="Sign a program in"
        description={
          <>
            <Code>devgate login</Code> or <Code>ssh</Code> in a terminal, or your editor, shows a code and
            waits for you here.
          </>
        }
      />
      {code === null ? (
        <Enter enter={setCode} />
      ) : (
        <Decide
          key={code}
          code={code}
          linked={code === linked}
          back={code === linked ? back : null}
          other={() => setCode(null)}
        />
      )}
    </>
  );
}

function Enter({ enter }: { enter: (code: string) => void }) {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState(false);
  return (
    <Panel title="Which code does the terminal show?">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const code = asCode(text);
          setWrong(code === null);
          if (code !== null) enter(code);
        }}
      >
        <Stack gap="md" align="flex-start">
          <CodeInput
            label="Code"
            value={text}
            change={setText}
            error={wrong && "A code has eight letters, none of them a vowel."}
          />
          <Button type="submit">Continue</Button>
        </Stack>
      </form>
    </Panel>
  );
}

interface CodeInputProps {
  label: string;
  value: string;
  change: (text: string) => void;
  error?: React.ReactNode;
}

/** Where a code is typed, with an example of its form in it while it is empty. */
function CodeInput({ label, value, change, error }: CodeInputProps) {
  return (
    <TextInput
      label={label}
      placeholder="WDJB-MJHT"
      value={value}
      onChange={(event) => change(event.currentTarget.value)}
      error={error}
      autoComplete="off"
      autoCapitalize="characters"
      spellCheck={false}
    />
  );
}

interface DecideProps {
  code: string;
  linked: boolean;
  back: Back | null;
  other: () => void;
}

/** Decides on a code that somebody typed, or that a link had, which anybody can make. */
function Decide({ code, linked, back, other }: DecideProps) {
  const queries = useQueryClient();
  const [typed, setTyped] = useState("");
  const decide = useMutation({
    mutationFn: async (allow: boolean) => {
      const options = { path: { code } };
      if (allow) await request("POST", "/login/device/{code}/approve", options);
      else await request("POST", "/login/device/{code}/refuse", options);
      return allow;
    },
    onSuccess: (allowed) => {
      if (allowed && back) window.location.assign(back.href);
    },
    onSettled: () =>
      Promise.all([queries.invalidateQueries(tokens), queries.invalidateQueries(sshApprovals)]),
  });
  const waiting = useQuery({
    queryKey: ["device", code],
    queryFn: ({ signal }) => request("GET", "/login/device/{code}", { path: { code }, signal }),
    // Once it is decided it is there no more.
    staleTime: Infinity,
    retry: false,
    // More connections may come to wait. What has ended isn't asked for again: it counts as a guess.
    refetchInterval: ({ state }) =>
      decide.isIdle && state.status === "success" && state.data?.asks === "ssh" ? LOOK : false,
  });
  if (decide.data !== undefined) {
    return <Decided told={decide.data ? approved(waiting.data) : null} back={back} />;
  }
  if (waiting.isPending) return <Loading />;
  if (!waiting.data || (waiting.isError && decide.isIdle)) {
    return (
      <Stack gap="md" align="flex-start">
        <Failure title="Nothing can be approved" error={waiting.error} />
        <Button variant="default" onClick={other}>
          Enter another code
        </Button>
      </Stack>
    );
  }
  const { scope, same_address: isNear } = waiting.data;
  const isSsh = waiting.data.asks === "ssh";
  // Whoever shares an address can send a link to what they began there.
  const compares = linked && (isSsh || scope === "admin" || !isNear);
  return (
    <Panel title="Is this you?">
      <Stack gap="md">
        <Facts waiting={waiting.data} shown={!compares} />
        {!isNear && (
          <Alert color="red" title="It asks from another address than you" role="alert">
            That is as it should be where your terminal is on another machine or network, and only there.
          </Alert>
        )}
        {waiting.data.connections > 1 && (
          <Alert
            color="red"
            title={`${waiting.data.connections} connections wait, and all of them get in`}
            role="alert"
          >
            An editor opens several at once. If you began only one, somebody else&apos;s waits with it from
            the same address: refuse, and log in with your key.
          </Alert>
        )}
        {isSsh && waiting.data.expires_in_seconds > 0 && (
          <Alert color="yellow" title={`Further connections get in for ${minutes(waiting.data)}`}>
            Those from {waiting.data.address} with the login name {waiting.data.name}, without asking again:
            also somebody else&apos;s who shares that address. Your account&apos;s logins show it, and end it.
          </Alert>
        )}
        <Alert color="yellow">
          Approve only what you have just begun yourself, and only if your terminal shows the same code.
          Nobody has a reason to send you here.
        </Alert>
        {decide.isError && (
          <Alert color="red" title="It wasn't decided" role="alert">
            {explain(decide.error)}
          </Alert>
        )}
        {compares && <CodeInput label="The code that your terminal shows" value={typed} change={setTyped} />}
        <Group gap="xs">
          <Button
            onClick={() => decide.mutate(true)}
            loading={decide.isPending}
            disabled={compares && asCode(typed) !== code}
          >
            Approve
          </Button>
          <Button variant="default" onClick={() => decide.mutate(false)} disabled={decide.isPending}>
            Refuse
          </Button>
        </Group>
      </Stack>
    </Panel>
  );
}

/** Says for how long further connections are let in. */
function minutes({ expires_in_seconds: seconds }: DeviceWaiting): string {
  const whole = Math.ceil(seconds / 60);
  return whole === 1 ? "a minute" : `${whole} minutes`;
}

/** Says what comes of an approval. */
function approved(waiting: DeviceWaiting | undefined): string {
  const next = "It goes on by itself; you can close this page.";
  if (waiting?.asks !== "ssh") {
    return `${next} The token is in your account's list of tokens, where you can end it.`;
  }
  return `${next} The connection ends when you sign out here.`;
}

/** What was decided; `told` says what comes of an approval. */
function Decided({ told, back }: { told: string | null; back: Back | null }) {
  return (
    <Stack gap="md" align="flex-start">
      <Alert
        color="gray"
        icon={told ? <IconCheck size={18} aria-hidden /> : <IconX size={18} aria-hidden />}
        title={told ? "Approved" : "Refused"}
        role="status"
      >
        {told ?? "Nothing is let in. You can close this page."}
      </Alert>
      {told && back && (
        <Button component="a" href={back.href}>
          Back to {back.editor}
        </Button>
      )}
    </Stack>
  );
}

function Facts({ waiting, shown }: { waiting: DeviceWaiting; shown: boolean }) {
  const who = useQuery(me).data?.name;
  const days = Math.max(1, Math.round(waiting.expires_in_seconds / 86_400));
  return (
    <>
      {shown && (
        <Text className={classes.code} aria-label="Code">
          {waiting.user_code}
        </Text>
      )}
      <dl className={classes.facts}>
        {waiting.asks === "ssh" ? (
          <>
            <dt>Asks for</dt>
            <dd>
              {waiting.connections > 1 ? `${waiting.connections} SSH connections` : "An SSH connection"} as
              you, {who}
            </dd>
            <dt>To the workspace</dt>
            <dd>{waiting.name}</dd>
            <dt>From</dt>
            <dd>{waiting.address}</dd>
          </>
        ) : (
          <>
            <dt>Calls itself</dt>
            <dd>{waiting.name}</dd>
            <dt>Asks from</dt>
            <dd>{waiting.address}</dd>
            <dt>Will act as</dt>
            <dd>{who}</dd>
            <dt>May</dt>
            <dd>{GRANTED[waiting.scope ?? "read"]}</dd>
            <dt>For</dt>
            <dd>{days === 1 ? "a day at most" : `${days} days`}</dd>
          </>
        )}
        <dt>Can be decided</dt>
        <dd>
          until <Ago time={waiting.until} />
        </dd>
      </dl>
    </>
  );
}
