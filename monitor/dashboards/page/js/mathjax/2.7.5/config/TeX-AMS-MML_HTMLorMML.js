// In MathJax's place: Visdom's page asks for it, and needs it for nothing but LaTeX in plots.
