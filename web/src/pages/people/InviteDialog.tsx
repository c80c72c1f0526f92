import { type FormEvent, useId, useState } from "react";
import { type Item, useChange } from "../../api/items";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { CheckField, TextField } from "../../ui/Field";
import { Failure } from "../../ui/States";
import styles from "./InviteDialog.module.css";
import type { SiteValues } from "./PeoplePage";
import { ROLES, toRoleLabel } from "./roles";

interface Props {
  sites: Item<SiteValues>[];
  onClose: () => void;
  onInvited: (secret: string, login: string) => void;
}

/** Ask for a new person's login, roles and sites. */
export function InviteDialog({ sites, onClose, onInvited }: Props) {
  const [login, setLogin] = useState("");
  const [name, setName] = useState("");
  const [until, setUntil] = useState("");
  const [roles, setRoles] = useState<string[]>([]);
  const [siteIds, setSiteIds] = useState<string[]>(sites.length === 1 ? sites.map((site) => site.item_id) : []);
  const change = useChange<{ secret: string }>();
  const form = useId();
  async function send(event: FormEvent) {
    event.preventDefault();
    const { data } = await change.mutateAsync({
      method: "POST",
      path: "/api/account",
      body: { login: login.trim(), display_name: name.trim(), roles, site_ids: siteIds, expires_date: until || null },
    });
    onInvited(data.secret, login.trim());
  }
  return (
    <Dialog
      title="Invite a person"
      onClose={onClose}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" form={form} look="main" busy={change.isPending} disabled={roles.length === 0}>
            Invite
          </Button>
        </>
      }
    >
      <form id={form} className={styles.form} onSubmit={(event) => void send(event).catch(() => undefined)}>
        <TextField label="Name" required autoFocus maxLength={200} value={name} onChange={(event) => setName(event.target.value)} />
        <TextField label="Login" required maxLength={200} value={login} onChange={(event) => setLogin(event.target.value)} />
        <fieldset className={styles.choices}>
          <legend>Roles</legend>
          {ROLES.map((role) => (
            <CheckField
              key={role}
              label={toRoleLabel(role)}
              checked={roles.includes(role)}
              onChange={(event) => setRoles(switchOne(roles, role, event.target.checked))}
            />
          ))}
        </fieldset>
        <fieldset className={styles.choices}>
          <legend>Sites</legend>
          {sites.length === 0 ? <span>No site yet; add one first.</span> : null}
          {sites.map((site) => (
            <CheckField
              key={site.item_id}
              label={site.values.name}
              checked={siteIds.includes(site.item_id)}
              onChange={(event) => setSiteIds(switchOne(siteIds, site.item_id, event.target.checked))}
            />
          ))}
        </fieldset>
        <TextField
          label="Last day of the account"
          hint="May be empty."
          type="date"
          value={until}
          onChange={(event) => setUntil(event.target.value)}
        />
      </form>
      {change.error ? <Failure error={change.error} /> : null}
    </Dialog>
  );
}

function switchOne(all: string[], one: string, on: boolean): string[] {
  return on ? [...all, one] : all.filter((other) => other !== one);
}

/** Show a one-time link, once. */
export function LinkDialog({ secret, login, onClose }: { secret: string; login: string; onClose: () => void }) {
  const link = `${window.location.origin}${window.location.pathname}#/link/${secret}`;
  return (
    <Dialog
      title="One-time link"
      onClose={onClose}
      foot={
        <>
          <Button onClick={() => void navigator.clipboard?.writeText(link).catch(() => undefined)}>Copy</Button>
          <Button look="main" onClick={onClose}>
            Done
          </Button>
        </>
      }
    >
      <p>
        Give this link to the person by a way you trust. It is shown only now and works once. The person then logs in as{" "}
        <strong>{login}</strong>.
      </p>
      <p className={styles.link} data-link>
        {link}
      </p>
    </Dialog>
  );
}
