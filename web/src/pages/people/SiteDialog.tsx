import { type FormEvent, useId, useState } from "react";
import { useChange } from "../../api/items";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { TextField } from "../../ui/Field";
import { useNotice } from "../../ui/Notices";
import { Failure } from "../../ui/States";

/** Ask for a new site. */
export function SiteDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const change = useChange();
  const say = useNotice();
  const form = useId();
  async function send(event: FormEvent) {
    event.preventDefault();
    await change.mutateAsync({ method: "POST", path: "/api/site", body: { values: { name: name.trim() } } });
    say(`${name.trim()} was added`);
    onClose();
  }
  return (
    <Dialog
      title="Add a site"
      onClose={onClose}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" form={form} look="main" busy={change.isPending}>
            Add
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={(event) => void send(event).catch(() => undefined)}>
        <TextField label="Name of the site" required autoFocus maxLength={200} value={name} onChange={(event) => setName(event.target.value)} />
      </form>
      {change.error ? <Failure error={change.error} /> : null}
    </Dialog>
  );
}
