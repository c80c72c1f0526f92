import { useQueryClient } from "@tanstack/react-query";
import { Suspense, useEffect } from "react";
import { Redirect, Router, matchRoute, useLocation, useRouter } from "wouter";
import { useHashLocation } from "wouter/use-hash-location";
import { noteProof } from "../api/provider";
import type { Me } from "../api/session";
import { Notices } from "../ui/Notices";
import { Page } from "../ui/Page";
import { Empty, Failure, Loading } from "../ui/States";
import { Boundary } from "./Boundary";
import { LinkPage } from "./LinkPage";
import { DoorRoom } from "./DoorRoom";
import { LoginForm } from "./LoginForm";
import { RefusedPage } from "./ProviderLogin";
import { MeProvider, useAskMe } from "./me";
import { mayOpen, pages } from "./pages";
import { ReLogin } from "./ReLogin";
import { Shell } from "./Shell";
import { Shortcuts } from "./shortcuts";

/** Everything: the door, and behind it the pages. */
export function App() {
  return (
    <Router hook={useHashLocation}>
      <Door />
    </Router>
  );
}

function Door() {
  const [here, go] = useLocation();
  const cache = useQueryClient();
  const asked = useAskMe();
  if (here.startsWith("/link/")) {
    return (
      <LinkPage
        secret={here.slice("/link/".length)}
        onDone={() => {
          go("/");
          void cache.invalidateQueries();
        }}
      />
    );
  }
  if (here.startsWith("/refused/")) return <RefusedPage code={here.slice("/refused/".length)} />;
  if (here === "/proof") return <Redirect to={noteProof()} replace />;
  if (asked.error) {
    return (
      <DoorRoom>
        <Failure error={asked.error} retry={() => void asked.refetch()} />
      </DoorRoom>
    );
  }
  if (asked.data === undefined) return <Loading what="the record" />;
  if (asked.data === null) {
    return (
      <DoorRoom>
        <LoginForm onDone={(me) => cache.setQueryData(["me"], me)} />
      </DoorRoom>
    );
  }
  return (
    <MeProvider value={asked.data}>
      <Shortcuts>
        <Notices>
          <Pages me={asked.data} />
          <ReLogin />
        </Notices>
      </Shortcuts>
    </MeProvider>
  );
}

function Pages({ me }: { me: Me }) {
  const [here] = useLocation();
  const { parser } = useRouter();
  const first = pages
    .filter((page) => page.nav && mayOpen(page, me))
    .sort((one, other) => (one.nav?.order ?? 0) - (other.nav?.order ?? 0))[0];
  const found = pages
    .map((page) => ({ page, match: matchRoute(parser, page.path, here) }))
    .find(({ match }) => match[0]);
  const params = (found?.match[1] ?? {}) as Record<string, string>;
  useEffect(() => {
    // Keyboards and screen readers begin at the page, not at the link that was left.
    document.getElementById("page")?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [here]);
  if (here === "/" && first) return <Redirect to={first.path} replace />;
  const page = found?.page ?? null;
  return (
    <Shell page={page} patientId={params["patientId"] ?? ""}>
      <Boundary at={here}>
        {page === null ? (
          <Page title="There is no such page">
            <Empty title={here}>The address may be mistyped, or the item was removed.</Empty>
          </Page>
        ) : mayOpen(page, me) ? (
          <Suspense fallback={<Loading what="the page" />}>
            <page.Component key={here} params={params} />
          </Suspense>
        ) : (
          <Page title={page.title}>
            <Empty title="This page is not for your role">Ask the administrator if you need it.</Empty>
          </Page>
        )}
      </Boundary>
    </Shell>
  );
}
