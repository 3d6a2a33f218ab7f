/** Pages that only administrators see: for others there is nothing there. */
import { useQuery } from "@tanstack/react-query";
import { Outlet } from "react-router";

import { me } from "../api/queries";
import { Loading } from "../parts/Loading";
import { NotFound } from "./NotFound";

export function Administrators() {
  const who = useQuery(me).data;
  if (!who) return <Loading />;
  return who.role === "admin" ? <Outlet /> : <NotFound />;
}
