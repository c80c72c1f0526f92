import { useQueryClient } from "@tanstack/react-query";
import { useState, useSyncExternalStore } from "react";
import { client } from "../api/client";
import { type Me, door } from "../api/session";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { LoginForm } from "./LoginForm";
import { useMe } from "./me";

/** After the end of a session: a login over the page. Requests wait for it; what was entered stays. */
export function ReLogin() {
  const closed = useSyncExternalStore(door.subscribe, door.isClosed);
  const me = useMe();
  const cache = useQueryClient();
  const [beside, setBeside] = useState(false);
  if (!closed) return null;
  function goOn(entered: Me) {
    if (entered.account_id !== me.account_id) {
      // Another person must not send what this one entered.
      window.location.reload();
      return;
    }
    cache.setQueryData(["me"], entered);
    setBeside(false);
    door.open();
  }
  async function look() {
    const { data } = await client.GET("/api/me");
    if (data) goOn(data as Me);
  }
  return (
    <Dialog title="Your session has ended">
      <p>Log in again to go on. Nothing you entered is lost.</p>
      <LoginForm onDone={goOn} onBeside={() => setBeside(true)} />
      {beside ? (
        <>
          <p>Log in on the other tab, then come back to this one.</p>
          <Button onClick={() => void look()}>I have logged in: go on</Button>
        </>
      ) : null}
    </Dialog>
  );
}
