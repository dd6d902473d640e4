// What Streamlit's components v2 hand to a component's default export.

export interface Component<Data> {
  data: Data;
  parentElement: ShadowRoot | HTMLElement;
  setTriggerValue(name: string, value: unknown): void;
  setStateValue(name: string, value: unknown): void;
}

interface Mounted<Data> {
  take(component: Component<Data>): Promise<void>;
  end(): void;
}

/** The entry that Streamlit calls at every rerun: one instance a place, until it is taken away. */
export function mounter<Data>(
  style: string,
  make: (component: Component<Data>) => Mounted<Data>,
): (component: Component<Data>) => () => void {
  const mounted = new WeakMap<object, Mounted<Data>>();
  return (component) => {
    const { parentElement } = component;
    let instance = mounted.get(parentElement);
    if (!instance) {
      const sheet = document.createElement("style");
      sheet.textContent = style;
      parentElement.append(sheet);
      instance = make(component);
      mounted.set(parentElement, instance);
    }
    void instance.take(component);
    return () => {
      mounted.get(parentElement)?.end();
      mounted.delete(parentElement);
    };
  };
}
