import { useState } from "react";
import { Figure } from "../../charts/Figure";
import { RateChart } from "../../charts/RateChart";
import { WaterfallChart } from "../../charts/WaterfallChart";
import { Button } from "../../ui/Button";
import { Panel } from "../../ui/Panel";
import { Empty } from "../../ui/States";
import { change, percent } from "../../ui/numbers";
import { ReportTable } from "./ReportTable";
import styles from "./Trial.module.css";
import type { Outcomes } from "./questions";

/** Best response with exact limits, injected and non-injected apart, and the waterfall of each group. */
export function Response({ outcomes }: { outcomes: Outcomes }) {
  const [group, setGroup] = useState("");
  const table = outcomes.tables.find((one) => one.table_id === "response");
  const shown = outcomes.waterfalls.find((one) => one.group === group) ?? outcomes.waterfalls[0];
  const conf = percent(outcomes.confidence);
  if (outcomes.rates.length === 0) {
    return (
      <Panel title="Response">
        <Empty title="No response to show">Response follows from locked reads of treated patients.</Empty>
      </Panel>
    );
  }
  const rates = outcomes.rates.map((rate) => {
    const responders = (rate.counts["CR"] ?? 0) + (rate.counts["PR"] ?? 0);
    return { group: rate.group, title: rate.title, count: `${responders} of ${rate.n}`, counts: rate.counts, n: rate.n, control: rate.control, confirmed: rate.confirmed, ...rate.objective };
  });
  return (
    <Panel title="Best overall response">
      <div className={styles.stack}>
        <div className={styles.charts}>
          <Figure
            title="Objective response (CR or PR)"
            said={`${conf} interval, exact`}
            rows={rates}
            rowKey={(row) => row.group}
            columns={[
              { name: "group", title: "Lesions", cell: (row) => row.title },
              { name: "count", title: "CR or PR", number: true, cell: (row) => row.count },
              { name: "rate", title: "Rate", number: true, cell: (row) => percent(row.estimate, 1) },
              { name: "limits", title: `${conf} interval`, number: true, cell: (row) => `${percent(row.lower, 1)} to ${percent(row.upper, 1)}` },
              { name: "confirmed", title: "Confirmed", number: true, cell: (row) => percent(row.confirmed.estimate, 1) },
              { name: "control", title: "Disease control", number: true, cell: (row) => percent(row.control.estimate, 1) },
            ]}
          >
            <RateChart label={`Objective response by group of lesions: ${rates.map((one) => `${one.title} ${one.count}`).join(", ")}`} rates={rates} />
          </Figure>
          {shown ? (
            <Figure
              title={`Best change of the sum of targets: ${shown.title.toLowerCase()}`}
              said={shown.unmeasured.length > 0 ? `${shown.unmeasured.length} without a sum after baseline` : undefined}
              rows={shown.bars}
              rowKey={(row) => row.subject}
              columns={[
                { name: "subject", title: "Subject", cell: (row) => row.subject },
                { name: "change", title: "Best change", number: true, cell: (row) => change(row.change_percent / 100) },
                { name: "best", title: "Best response", cell: (row) => row.best || "not assessed" },
              ]}
            >
              <div className={styles.choices} role="group" aria-label="Lesions of the waterfall">
                {outcomes.waterfalls
                  .filter((one) => one.bars.length > 0)
                  .map((one) => (
                    <Button key={one.group} look="quiet" pressed={one.group === shown.group} onClick={() => setGroup(one.group)}>
                      {one.title.replace(" lesions", "").replace("Lesions outside the liver, not injected", "Outside the liver").replace("of the liver", "liver")}
                    </Button>
                  ))}
              </div>
              {shown.bars.length > 0 ? (
                <WaterfallChart label={`Waterfall of ${shown.bars.length} subjects, ${shown.title.toLowerCase()}`} group={shown.group} bars={shown.bars} />
              ) : (
                <Empty title="Nothing was measured after baseline" />
              )}
              <p className={styles.quiet}>Letters: best response. A bar shows target lesions only; new or non-target lesions may make it PD.</p>
            </Figure>
          ) : null}
        </div>
        {table ? <ReportTable table={table} /> : null}
      </div>
    </Panel>
  );
}
