import { useQueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { door } from "../api/session";
import { Dialog } from "../ui/Dialog";
import { LoginForm } from "./LoginForm";
import { useMe } from "./me";

/** After the end of a session: a login over the page. Requests wait for it; what was entered stays. */
export function ReLogin() {
  const closed = useSyncExternalStore(door.subscribe, door.isClosed);
  const me = useMe();
  const cache = useQueryClient();
  if (!closed) return null;
  return (
    <Dialog title="Your session has ended">
      <p>Log in again to go on. Nothing you entered is lost.</p>
      <LoginForm
        onDone={(entered) => {
          if (entered.account_id !== me.account_id) {
            // Another person must not send what this one entered.
            window.location.reload();
            return;
          }
          cache.setQueryData(["me"], entered);
          door.open();
        }}
      />
    </Dialog>
  );
}
