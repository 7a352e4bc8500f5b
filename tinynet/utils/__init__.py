"""What programs need around a network: data loading (`tinynet.utils.data`)."""
