import { useState } from "react";
import { Link, useLocation } from "wouter";
import { type Item, sendChange, useItems } from "../../api/items";
import { useMay } from "../../shell/me";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Answered, Empty, Failure } from "../../ui/States";
import { Table } from "../../ui/Table";
import { byVisit } from "./order";

interface PlanValues {
  visit_number: number;
  status: string;
}

interface ProcedureValues {
  plan_id: string;
  visit_number: number;
  state: string;
}

/** The days on which this patient was injected, and plans whose day has not begun. */
export default function DaysPage({ params }: { params: Record<string, string> }) {
  const patientId = params["patientId"] ?? "";
  const [, go] = useLocation();
  const mayWrite = useMay("procedure.write");
  const plans = useItems<PlanValues>("plan", { patient_id: patientId, limit: 200 });
  const days = useItems<ProcedureValues>("procedure", { patient_id: patientId, limit: 200 });
  const [error, setError] = useState<unknown>(null);
  const taken = new Set(days.data?.items.filter((one) => one.values.state !== "cancelled").map((one) => one.values.plan_id));
  const waiting = plans.data?.items.filter((plan) => !taken.has(plan.item_id)) ?? [];

  async function begin(plan: Item<PlanValues>) {
    setError(null);
    try {
      // The same key for the same plan: a second press finds the day that the first began.
      const { data } = await sendChange<Item>({
        method: "POST",
        path: "/api/procedure",
        body: { plan_id: plan.item_id },
        key: `day-${plan.item_id}-${plan.version}-${days.data?.total ?? 0}`,
      });
      go(`/patient/${patientId}/day/${data.item_id}`);
    } catch (problem) {
      setError(problem);
    }
  }

  return (
    <Page title="Procedure days" ready={plans.data !== undefined && days.data !== undefined}>
      {error ? <Failure error={error} /> : null}
      <Panel title="Days" flush>
        <Answered asked={days} what="procedure days">
          {(found) =>
            found.items.length === 0 ? (
              <Empty title="No day yet">A day begins from a plan.</Empty>
            ) : (
              <Table
                caption="Days of injection of this patient"
                rows={byVisit(found.items)}
                rowKey={(row) => row.item_id}
                columns={[
                  { name: "visit", title: "Visit", number: true, cell: (row) => row.values.visit_number },
                  { name: "state", title: "State", cell: (row) => <Badge>{row.values.state.replaceAll("_", " ")}</Badge> },
                  {
                    name: "open",
                    title: <span className="visually-hidden">Open</span>,
                    cell: (row) => <Link href={`/patient/${patientId}/day/${row.item_id}`}>Open the day</Link>,
                  },
                ]}
              />
            )
          }
        </Answered>
      </Panel>
      <Panel title="Plans whose day has not begun" flush>
        <Answered asked={plans} what="plans">
          {() =>
            waiting.length === 0 ? (
              <Empty title="No plan waits">Plan a scan first; then its day can begin.</Empty>
            ) : (
              <Table
                caption="Plans whose day has not begun"
                rows={byVisit(waiting)}
                rowKey={(row) => row.item_id}
                columns={[
                  { name: "visit", title: "Visit", number: true, cell: (row) => row.values.visit_number },
                  {
                    name: "status",
                    title: "Status",
                    cell: (row) => (
                      <Badge tone={row.values.status === "cleared" ? "good" : "caution"}>{row.values.status.replaceAll("_", " ")}</Badge>
                    ),
                  },
                  { name: "plan", title: "Plan", cell: (row) => <Link href={`/patient/${patientId}/plan/${row.item_id}`}>Look at the plan</Link> },
                  {
                    name: "begin",
                    title: <span className="visually-hidden">Begin</span>,
                    cell: (row) =>
                      mayWrite ? (
                        <Button look="main" onClick={() => void begin(row)}>
                          Begin the day
                        </Button>
                      ) : null,
                  },
                ]}
              />
            )
          }
        </Answered>
      </Panel>
    </Page>
  );
}
