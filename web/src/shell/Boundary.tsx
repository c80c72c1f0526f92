import { Component, type ReactNode } from "react";
import { Failure } from "../ui/States";

interface Props {
  /** A change of it gives the page another try. */
  at: string;
  children: ReactNode;
}

/** Keeps a fault of one page from taking the others with it. */
export class Boundary extends Component<Props, { error: unknown }> {
  override state: { error: unknown } = { error: null };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override componentDidUpdate(before: Props) {
    if (before.at !== this.props.at && this.state.error !== null) this.setState({ error: null });
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return <Failure error={this.state.error} retry={() => this.setState({ error: null })} />;
  }
}
