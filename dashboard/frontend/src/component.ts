// What Streamlit's components v2 tool to a component's default export.

export interface Component<Data> {
  data: Data;
  parentElement: ShadowRoot | HTMLElement;
  setTriggerValue(name: string, value: unknown): void;
}
