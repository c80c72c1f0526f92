import { useState } from "react";
import { type Item, useChange, useItems } from "../../api/items";
import { useMay } from "../../shell/me";
import { Badge, type Tone } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { ReasonDialog } from "../../ui/Dialog";
import { useNotice } from "../../ui/Notices";
import { Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Answered, Empty } from "../../ui/States";
import { Table } from "../../ui/Table";
import { day } from "../../ui/numbers";
import { InviteDialog, LinkDialog } from "./InviteDialog";
import { SiteDialog } from "./SiteDialog";
import { toRoleLabel } from "./roles";

export interface AccountValues {
  login: string;
  display_name: string;
  roles: string[];
  site_ids: string[];
  state: string;
  expires_date?: string;
}

export interface SiteValues {
  name: string;
  [field: string]: unknown;
}

const TONES: Record<string, Tone> = { active: "good", invited: "caution", disabled: "quiet" };

type Asked = { show: "invite" } | { show: "site" } | { show: "link"; secret: string; login: string } | { show: "state"; account: Item<AccountValues> } | null;

/** Who may use the record, and at which sites. */
export default function PeoplePage() {
  const accounts = useItems<AccountValues>("account", { limit: 200 });
  const sites = useItems<SiteValues>("site", { limit: 200 });
  const mayWrite = useMay("account.write");
  const [asked, setAsked] = useState<Asked>(null);
  const change = useChange<{ secret: string }>();
  const say = useNotice();
  const close = () => setAsked(null);
  const siteNames = new Map(sites.data?.items.map((site) => [site.item_id, site.values.name]));

  async function sendReset(account: Item<AccountValues>) {
    const { data } = await change.mutateAsync({ method: "POST", path: `/api/account/${account.item_id}/reset` });
    setAsked({ show: "link", secret: data.secret, login: account.values.login });
  }

  async function switchState(account: Item<AccountValues>, reason: string) {
    const state = account.values.state === "disabled" ? "active" : "disabled";
    await change.mutateAsync({
      method: "PATCH",
      path: `/api/account/${account.item_id}`,
      etag: `"${account.version}"`,
      body: { state, reason },
    });
    say(`${account.values.display_name} is ${state === "active" ? "let in again" : "shut out"}`);
  }

  return (
    <Page
      title="People and sites"
      ready={accounts.data !== undefined && sites.data !== undefined}
      actions={
        mayWrite ? (
          <>
            <Button onClick={() => setAsked({ show: "site" })}>Add a site</Button>
            <Button look="main" onClick={() => setAsked({ show: "invite" })}>
              Invite a person
            </Button>
          </>
        ) : null
      }
    >
        <Panel title="People" flush>
          <Answered asked={accounts} what="accounts">
            {(found) => (
              <Table
                caption="Accounts with roles, sites and state"
                rows={[...found.items].sort((one, other) => one.values.display_name.localeCompare(other.values.display_name))}
                rowKey={(row) => row.item_id}
                columns={[
                  { name: "name", title: "Name", cell: (row) => `${row.values.display_name} (${row.values.login})` },
                  { name: "roles", title: "Roles", cell: (row) => row.values.roles.map(toRoleLabel).join(", ") },
                  {
                    name: "sites",
                    title: "Sites",
                    cell: (row) => row.values.site_ids.map((id) => siteNames.get(id) ?? id).join(", ") || "–",
                  },
                  { name: "until", title: "Until", cell: (row) => day(row.values.expires_date) },
                  {
                    name: "state",
                    title: "State",
                    cell: (row) => (
                      <Badge {...(TONES[row.values.state] ? { tone: TONES[row.values.state] as Tone } : {})}>{row.values.state}</Badge>
                    ),
                  },
                  {
                    name: "do",
                    title: <span className="visually-hidden">What can be done</span>,
                    cell: (row) =>
                      mayWrite ? (
                        <>
                          <Button look="quiet" onClick={() => void sendReset(row).catch(() => say("No link was made: read the page again"))}>
                            New link
                          </Button>
                          {row.values.state === "invited" ? null : (
                            <Button look="quiet" onClick={() => setAsked({ show: "state", account: row })}>
                              {row.values.state === "disabled" ? "Let in" : "Shut out"}
                            </Button>
                          )}
                        </>
                      ) : null,
                  },
                ]}
              />
            )}
          </Answered>
        </Panel>
        <Panel title="Sites" flush>
          <Answered asked={sites} what="sites">
            {(found) =>
              found.items.length === 0 ? (
                <Empty title="No site yet">Patients belong to a site, and people see the patients of their sites.</Empty>
              ) : (
                <Table
                  caption="Sites"
                  rows={found.items}
                  rowKey={(row) => row.item_id}
                  columns={[{ name: "name", title: "Name", cell: (row) => row.values.name }]}
                />
              )
            }
          </Answered>
        </Panel>
      {asked?.show === "invite" ? (
        <InviteDialog sites={sites.data?.items ?? []} onClose={close} onInvited={(secret, login) => setAsked({ show: "link", secret, login })} />
      ) : null}
      {asked?.show === "site" ? <SiteDialog onClose={close} /> : null}
      {asked?.show === "link" ? <LinkDialog secret={asked.secret} login={asked.login} onClose={close} /> : null}
      {asked?.show === "state" ? (
        <ReasonDialog
          title={asked.account.values.state === "disabled" ? "Let in again" : "Shut out"}
          action={asked.account.values.state === "disabled" ? "Let in" : "Shut out"}
          danger={asked.account.values.state !== "disabled"}
          onClose={close}
          onDone={(reason) => switchState(asked.account, reason)}
        >
          <p>
            {asked.account.values.state === "disabled"
              ? `${asked.account.values.display_name} may log in again.`
              : `${asked.account.values.display_name} can no longer log in; open sessions end.`}
          </p>
        </ReasonDialog>
      ) : null}
    </Page>
  );
}
