"""The demonstration case: HCC_015 of HCC-TACE-Seg (CC BY 4.0), see ATTRIBUTION.md."""
