/** One's own account: tabs. */
import { NavLink, Outlet } from "react-router";

import classes from "../workspace/Page.module.css";

export default function Account() {
  return (
    <>
      <nav className={classes.tabs} aria-label="Account">
        <NavLink to="/account" end>
          Profile
        </NavLink>
        <NavLink to="/account/keys">SSH keys</NavLink>
        <NavLink to="/account/tokens">API tokens</NavLink>
        <NavLink to="/account/logins">Logins</NavLink>
      </nav>
      <Outlet />
    </>
  );
}
