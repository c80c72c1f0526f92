import { Answered } from "../../ui/States";
import { Adjudication } from "./Adjudication";
import { Reading } from "./Reading";
import { useReadPage } from "./hooks";

/** One read: measured by its reader, or two locked ones to decide between. */
export default function ReadPage({ params }: { params: Record<string, string> }) {
  const readId = params["readId"] ?? "";
  const asked = useReadPage(readId);
  return (
    <Answered asked={asked} what="the read">
      {(page) => (page.pair.length === 2 ? <Adjudication key={readId} page={page} /> : <Reading key={readId} page={page} />)}
    </Answered>
  );
}
