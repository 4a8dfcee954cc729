"""Small tools for those who work on this repository; the product never imports them."""
