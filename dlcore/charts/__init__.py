"""The kit of the charts: theme and roles of colours, controls, what the findings' charts share; never imports torch."""
