/** The whole dashboard: what all pages share, and which page an address shows. */
import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { createBrowserRouter, Navigate, type RouteObject, RouterProvider } from "react-router";

import { onSignedOut, Problem } from "./api/client";
import { pageNonce } from "./page-styles";
import { Crash } from "./parts/Crash";
import { Loading } from "./parts/Loading";
import { Shell } from "./shell/Shell";
import { Administrators } from "./shell/Administrators";
import { NotFound } from "./shell/NotFound";
import { hereAsNext } from "./sign-in/next";
import { SignIn } from "./sign-in/SignIn";
import { theme, variables } from "./theme";
import { Overview } from "./workspace/Overview";
import { WorkspacePage } from "./workspace/Page";
import { WorkspaceList } from "./workspaces/List";

// Parts that many visits never open.
const Terminals = lazy(() => import("./terminal/Terminals"));
const StatisticsTab = lazy(() => import("./statistics/Statistics"));
const Snapshots = lazy(() => import("./snapshots/Snapshots"));
const Logs = lazy(() => import("./logs/Logs"));
const Account = lazy(() => import("./account/Account"));
const Profile = lazy(() => import("./account/Profile"));
const Keys = lazy(() => import("./account/Keys"));
const Tokens = lazy(() => import("./account/Tokens"));
const Logins = lazy(() => import("./account/Logins"));
const Device = lazy(() => import("./sign-in/Device"));
const Docs = lazy(() => import("./docs/Docs"));
const Users = lazy(() => import("./admin/Users"));
const Templates = lazy(() => import("./admin/Templates"));
const ServerPage = lazy(() => import("./admin/Server"));

const queries = new QueryClient({
  defaultOptions: {
    // What is clicked while the browser is offline fails at once, and isn't done later, when
    // nobody expects it any more. Nor is a gateway on this very machine away then.
    mutations: { networkMode: "always" },
    queries: {
      networkMode: "always",
      staleTime: 5000,
      retry: (count, error) => error instanceof Problem && error.passing && count < 5,
      retryDelay: (count) => Math.min(500 * 2 ** count, 8000),
      // What failed while the gateway was away is there again when the gateway is.
      refetchInterval: ({ state }) => state.error instanceof Problem && state.error.passing && 5000,
    },
  },
});

const later = (page: React.ReactNode) => <Suspense fallback={<Loading />}>{page}</Suspense>;

const routes: RouteObject[] = [
  { path: "/sign-in", element: <SignIn />, errorElement: <Crash /> },
  { path: "/api/v1/docs", element: later(<Docs />), errorElement: <Crash /> },
  {
    path: "/",
    element: <Shell />,
    errorElement: <Crash />,
    children: [
      { index: true, element: <Navigate to="/workspaces" replace /> },
      { path: "workspaces", element: <WorkspaceList /> },
      {
        path: "workspaces/:owner/:name",
        element: <WorkspacePage />,
        children: [
          { index: true, element: <Overview /> },
          { path: "terminals/:terminal?", element: later(<Terminals />) },
          { path: "statistics", element: later(<StatisticsTab />) },
          { path: "snapshots", element: later(<Snapshots />) },
          { path: "logs", element: later(<Logs />) },
          { path: "*", element: <NotFound /> },
        ],
      },
      {
        path: "account",
        element: later(<Account />),
        children: [
          { index: true, element: later(<Profile />) },
          { path: "keys", element: later(<Keys />) },
          { path: "tokens", element: later(<Tokens />) },
          { path: "logins", element: later(<Logins />) },
          { path: "*", element: <NotFound /> },
        ],
      },
      { path: "device", element: later(<Device />) },
      {
        path: "admin",
        element: <Administrators />,
        children: [
          { index: true, element: <Navigate to="/admin/users" replace /> },
          { path: "users", element: later(<Users />) },
          { path: "templates", element: later(<Templates />) },
          { path: "server", element: later(<ServerPage />) },
          { path: "*", element: <NotFound /> },
        ],
      },
      { path: "*", element: <NotFound /> },
    ],
  },
];

const router = createBrowserRouter(routes);

onSignedOut(() => {
  if (location.pathname === "/sign-in") return;
  queries.clear();
  void router.navigate(hereAsNext(location), { replace: true });
});

export function App() {
  return (
    <MantineProvider
      theme={theme}
      cssVariablesResolver={variables}
      defaultColorScheme="auto"
      getStyleNonce={pageNonce}
    >
      <QueryClientProvider client={queries}>
        <Notifications position="bottom-right" />
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  );
}
